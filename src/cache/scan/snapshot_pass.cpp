#include "snapshot_pass.h"

#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "../index/watch.h"
#include "base/strings.h"

namespace homelab::cache::scan {
namespace {

/// The rules of RepoPath, with the plain case (nearly all names) decided without its cost.
bool is_valid_path(std::string const& path) {
  constexpr std::size_t kCertainlyShort = 200;
  bool const is_plain =
      path.size() < kCertainlyShort && path[0] != '/' && path.size() > 2 && path[1] != ':' &&
      std::ranges::all_of(path, [](char c) { return c > ' ' && c < 0x7f && c != '\\'; });
  return is_plain || RepoPath::parse(path).has_value();
}

}  // namespace

void SnapshotPass::read(OpenFolder const& repo) {
  if (findings_.hub.depth == ScanDepth::kSizes) findings_.scan.complete = false;
  OpenFolder const snapshots = findings_.enter(repo, "snapshots", 1);
  if (!snapshots.fd) return;
  for (std::size_t i = 0; i < snapshots.names.size(); ++i) {
    auto const node = snapshots.names[i];
    if (known_kind(snapshots, node) == NodeKind::kFolder) {
      read_revision(snapshots, node.name);
      continue;
    }
    struct stat found{};
    if (!look_at(snapshots.fd.get(), node.name, found)) continue;
    findings_.count_other(snapshots, node.name, found);
    // What stands behind a linked revision is read by others, so it may need any blob.
    if (S_ISLNK(found.st_mode)) findings_.scan.complete = false;
    findings_.problem(snapshots.shown / node.name, "is no folder of a revision; nobody reads it");
  }
  std::ranges::sort(findings_.scan.revisions, {}, &RevisionFacts::commit);
}

void SnapshotPass::read_revision(OpenFolder const& snapshots, char const* name) {
  entries_.clear();
  dangling_ = 0;
  files_ = 0;
  OpenFolder const folder = findings_.enter(snapshots, name, 2);
  if (!folder.fd) return;
  read_folder(folder, "", 0);
  if (dangling_ > 0) {
    findings_.problem(folder.shown,
                      fmt::format("{} of {} missing (the links lead to nothing); download the "
                                  "revision again",
                                  dangling_, counted(files_, "file")));
  }
  auto commit = CommitHash::parse(name);
  if (!commit) {
    // Its entries count as users of their blobs all the same: other programs read this folder.
    findings_.problem(folder.shown, "is not named by a commit (40 hexadecimal digits)");
    return;
  }
  std::ranges::sort(entries_, {}, &EntryFacts::path);
  findings_.scan.revisions.push_back(
      {std::move(*commit),
       {},
       {std::make_move_iterator(entries_.begin()), std::make_move_iterator(entries_.end())},
       files_,
       to_ns(folder.facts.st_mtim)});
}

void SnapshotPass::read_folder(OpenFolder const& folder, std::string const& prefix, int depth) {
  for (std::size_t i = 0; i < folder.names.size(); ++i) {
    auto const node = folder.names[i];
    NodeKind const kind = known_kind(folder, node);
    if (kind == NodeKind::kFolder) {
      OpenFolder const below = findings_.enter(folder, node.name, depth + 3);
      if (below.fd) read_folder(below, prefix + node.name + "/", depth + 1);
      continue;
    }
    if (kind == NodeKind::kLink && findings_.hub.depth == ScanDepth::kSizes) {
      ++files_;
      continue;
    }
    EntryFacts entry;
    entry.path = prefix + node.name;
    bool const is_entry = kind == NodeKind::kLink
                              ? add_link(folder, node.name, entry, depth)
                              : kind == NodeKind::kFile && add_file(folder, node.name, entry);
    if (is_entry) {
      if (!is_valid_path(entry.path))
        findings_.problem(folder.shown / node.name, "the name is not valid in a repository");
      ++files_;
      if (findings_.hub.depth == ScanDepth::kEverything) entries_.push_back(std::move(entry));
    } else if (kind == NodeKind::kOther) {
      findings_.problem(folder.shown / node.name, "is no regular file (a pipe, socket or device)");
    }
  }
}

bool SnapshotPass::add_link(OpenFolder const& folder, char const* name, EntryFacts& entry,
                            int depth) {
  std::array<char, PATH_MAX> text;
  ssize_t const length = ::readlinkat(folder.fd.get(), name, text.data(), text.size());
  if (length < 0) return false;
  std::string_view const target(text.data(), static_cast<std::size_t>(length));
  findings_.count_link(folder.fd.get(), name, target.size());
  std::string_view const blob = blob_name_of(target, folder, depth);
  if (blob.empty()) {
    entry.state = EntryFacts::State::kOutside;
    findings_.problem(folder.shown / name,
                      "is a link that leads out of the repository; it is not followed");
    return true;
  }
  auto const found = blobs_.find(blob);
  entry.state = found.state;
  if (found.state == EntryFacts::State::kDangling) ++dangling_;
  if (found.state != EntryFacts::State::kLink) return true;
  auto& facts = findings_.scan.blobs[found.blob];
  ++facts.entries;
  entry.blob = found.blob;
  entry.size_bytes = facts.size_bytes;
  return true;
}

std::string_view SnapshotPass::blob_name_of(std::string_view text, OpenFolder const& folder,
                                            int depth) {
  constexpr std::string_view kUp = "../";
  constexpr std::string_view kBlobs = "blobs/";
  std::string_view rest = text;
  int ups = 0;
  for (; rest.starts_with(kUp); ++ups) rest.remove_prefix(kUp.size());
  // What every writer makes: up to the repository, then blobs/<name>.
  if (ups == depth + 2 && rest.starts_with(kBlobs) &&
      rest.find('/', kBlobs.size()) == std::string_view::npos)
    return rest.substr(kBlobs.size());
  // Where it leads depends on where the hub folder lies.
  if (findings_.watch != nullptr) findings_.watch->spoil();
  Path const target(text);
  Path const whole = (target.is_absolute() ? target : folder.shown / target).lexically_normal();
  Path const parent = whole.parent_path();
  bool const is_blob = parent == (findings_.scan.folder / "blobs").lexically_normal() ||
                       (target.is_absolute() && parent == blobs_.real_folder());
  name_ = is_blob ? whole.filename().string() : std::string();
  return name_;
}

bool SnapshotPass::add_file(OpenFolder const& folder, char const* name, EntryFacts& entry) {
  struct stat found{};
  if (!look_at(folder.fd.get(), name, found) || !S_ISREG(found.st_mode)) return false;
  if (findings_.watch != nullptr)
    findings_.watch->file(folder.watched, name, index::WatchKind::kPlain, found);
  entry.state = EntryFacts::State::kFile;
  entry.size_bytes = size_bytes(found);
  entry.blob = blobs_.find(found);
  if (entry.blob) {
    ++findings_.scan.blobs[*entry.blob].entries;
    return true;
  }
  if (!findings_.is_first_name(found, true)) return true;
  RepoScan& scan = findings_.scan;
  scan.other_disk_bytes += disk_bytes(found);
  scan.plain_bytes += entry.size_bytes;
  scan.plain_accessed_ns = std::max(scan.plain_accessed_ns, to_ns(found.st_atim));
  return true;
}

}  // namespace homelab::cache::scan
