// What goes into an archive, and how long it becomes.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "base/hash.h"
#include "cache/archive.h"
#include "members.h"
#include "open_blob.h"
#include "partial_state.h"
#include "tar_writer.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kReadBytes = 1024UL * 1024;
constexpr std::size_t kShortestPrefix = 7;

tl::unexpected<Error> unusual(Path const& path, std::string_view what) {
  return fail(Code::kFailedPrecondition,
              fmt::format("{} {}; it cannot be exported", path.string(), what));
}

Status check_entry(RepoScan const& scan, RevisionFacts const& revision, EntryFacts const& entry) {
  Path const path = scan.folder / "snapshots" / revision.commit.text() / entry.path;
  if (entry.state == EntryFacts::State::kOutside) return unusual(path, "leads out of the cache");
  if (entry.state == EntryFacts::State::kFile) return unusual(path, "is a file, not a link");
  if (!RepoPath::parse(entry.path)) return unusual(path, "has a name that no Hub gives");
  if (!scan.blobs.at(entry.blob.value_or(0)).hash())
    return unusual(path, "has content whose name is no hash");
  return {};
}

/// The two hashes of a blob that is not named by its SHA-256.
Result<std::string> sha256_of(FolderAt const& blobs, BlobName const& name, Path const& hub_folder,
                              TransferControl const& control) {
  ASSIGN_OR_RETURN(OpenEntry const entry, open_blob(blobs, name, hub_folder));
  Hasher own = hasher_for(name, entry.size_bytes);
  Hasher sha256 = Hasher::sha256();
  std::vector<std::byte> buffer(kReadBytes);
  for (std::uint64_t at = 0; at < entry.size_bytes;) {
    if (control.cancelled()) return fail(Code::kCancelled, "stopped; nothing was written");
    ssize_t const got =
        ::pread(entry.file.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", blobs.in(name.text()), errno);
    if (got == 0) break;
    auto const bytes = std::span(buffer).first(static_cast<std::size_t>(got));
    own.update(bytes);
    sha256.update(bytes);
    at += bytes.size();
  }
  if (own.finish() == name.text()) return sha256.finish();
  return fail(Code::kDataLoss,
              fmt::format("{} is damaged; repair it (homelab-llm cache verify --repair) and export "
                          "again",
                          blobs.in(name.text())));
}

class RepoPlanner {
 public:
  RepoPlanner(ExportItem const& item, std::vector<std::string>& left_out,
              TransferControl const& control)
      : item_(item),
        folder_(item.hub_folder, item.id, item.type),
        left_out_(left_out),
        control_(control) {}

  Result<ArchiveRepo> plan() {
    auto scan = scan_repo(folder_.path());
    if (!scan && scan.error().code == Code::kNotFound)
      return fail(Code::kNotFound,
                  fmt::format("{} is not in {}", item_.id.text(), item_.hub_folder.string()));
    if (!scan) return fail(scan.error());
    if (!scan->complete) return unusual(scan->folder, "cannot be read completely");
    ArchiveRepo repo{item_.type, item_.id, {}, {}, {}};
    std::map<BlobName, std::uint64_t> blobs;
    for (RevisionFacts const& revision : scan->revisions) {
      if (!is_wanted(revision)) continue;
      RETURN_IF_ERROR(add_revision(*scan, revision, repo, blobs));
    }
    if (repo.revisions.empty()) return nothing_found();
    if (!item_.revision)
      for (auto const& [ref, commit] : scan->dangling_refs)
        left_out_.push_back(fmt::format("{} of {} names {}, which is not downloaded", ref,
                                        item_.id.text(), commit));
    std::ranges::sort(repo.refs, {}, &ArchiveRef::name);
    RETURN_IF_ERROR(add_blobs(repo, blobs));
    return repo;
  }

 private:
  [[nodiscard]] bool is_wanted(RevisionFacts const& revision) const {
    if (!item_.revision) return true;
    std::string const& wanted = *item_.revision;
    return std::ranges::find(revision.refs, wanted) != revision.refs.end() ||
           (wanted.size() >= kShortestPrefix && revision.commit.text().starts_with(wanted));
  }

  [[nodiscard]] tl::unexpected<Error> nothing_found() const {
    return fail(Code::kNotFound, fmt::format("{}{} has no files in {}", item_.id.text(),
                                             item_.revision ? "@" + *item_.revision : std::string(),
                                             item_.hub_folder.string()));
  }

  Status add_revision(RepoScan const& scan, RevisionFacts const& facts, ArchiveRepo& repo,
                      std::map<BlobName, std::uint64_t>& blobs) {
    ArchiveRevision revision{facts.commit, {}, {}, {}};
    for (EntryFacts const& entry : facts.entries) {
      if (entry.state == EntryFacts::State::kDangling) {
        left_out_.push_back(fmt::format("{} of {} at {} is not downloaded", entry.path,
                                        item_.id.text(), facts.commit.text()));
        continue;
      }
      RETURN_IF_ERROR(check_entry(scan, facts, entry));
      BlobFacts const& blob = scan.blobs.at(*entry.blob);
      ASSIGN_OR_RETURN(RepoPath path, RepoPath::parse(entry.path));
      revision.files.push_back({std::move(path), *blob.hash()});
      blobs.emplace(*blob.hash(), blob.size_bytes);
    }
    if (revision.files.empty()) {
      left_out_.push_back(
          fmt::format("{} at {} has no files", item_.id.text(), facts.commit.text()));
      return {};
    }
    std::ranges::sort(revision.files, {}, &ArchiveFile::path);
    RETURN_IF_ERROR(add_listing(revision));
    RETURN_IF_ERROR(add_absent(revision));
    add_refs(facts, repo);
    repo.revisions.push_back(std::move(revision));
    return {};
  }

  void add_refs(RevisionFacts const& facts, ArchiveRepo& repo) {
    for (std::string const& ref : facts.refs) {
      auto name = Revision::parse(ref);
      if (name && !name->is_commit()) {
        repo.refs.push_back({std::move(*name), facts.commit});
      } else {
        left_out_.push_back(
            fmt::format("ref {} of {} has a name that no Hub gives", ref, item_.id.text()));
      }
    }
  }

  Status add_listing(ArchiveRevision& revision) {
    auto const text = read_regular_file(
        folder_.path() / "trees" / (revision.commit.text() + ".json"), kMaxArchiveListingBytes);
    if (!text && text.error().code == Code::kNotFound) return {};
    if (auto const tree = text ? parse_tree_json(*text) : fail(text.error()); !tree || !*tree) {
      left_out_.push_back(fmt::format("the listing of {} at {} cannot be read", item_.id.text(),
                                      revision.commit.text()));
      return {};
    }
    revision.listing = ArchiveListing{text->size(), sha256_hex(*text)};
    return {};
  }

  Status add_absent(ArchiveRevision& revision) const {
    ASSIGN_OR_RETURN(FolderAt const repo, open_folder(folder_.path()));
    RETURN_IF_ERROR(walk_below(
        repo, ".no_exist/" + revision.commit.text(),
        [&](FolderAt const&, std::string const&, std::string const& path) -> Status {
          auto known = RepoPath::parse(path);
          bool const is_file =
              known && std::ranges::binary_search(revision.files, *known, {}, &ArchiveFile::path);
          if (known && !is_file) revision.absent.push_back(std::move(*known));
          return {};
        }));
    std::ranges::sort(revision.absent);
    return {};
  }

  Status add_blobs(ArchiveRepo& repo, std::map<BlobName, std::uint64_t> const& blobs) const {
    ASSIGN_OR_RETURN(FolderAt const opened, open_folder(folder_.path() / "blobs"));
    for (auto const& [name, size] : blobs) {
      std::string sha256 = name.text();
      if (!name.is_sha256()) {
        ASSIGN_OR_RETURN(sha256, sha256_of(opened, name, item_.hub_folder, control_));
      }
      repo.blobs.push_back({name, size, std::move(sha256)});
    }
    return {};
  }

  ExportItem const& item_;
  RepoFolder folder_;
  std::vector<std::string>& left_out_;
  TransferControl const& control_;
};

Result<std::uint64_t> bytes_of(ArchiveRepo const& repo) {
  std::uint64_t sum = 0;
  auto const file = [&](std::string const& name, std::uint64_t size) -> Status {
    ASSIGN_OR_RETURN(auto const bytes, tar_file_bytes(name, size));
    sum += bytes;
    return {};
  };
  for (auto const& blob : repo.blobs)
    RETURN_IF_ERROR(file(blob_member(repo, blob.name), blob.size_bytes));
  for (auto const& revision : repo.revisions) {
    for (auto const& entry : revision.files) {
      ASSIGN_OR_RETURN(auto const bytes,
                       tar_link_bytes(link_member(repo, revision.commit, entry.path),
                                      link_text_of(entry.path, entry.blob)));
      sum += bytes;
    }
    if (revision.listing)
      RETURN_IF_ERROR(file(listing_member(repo, revision.commit), revision.listing->size_bytes));
    for (auto const& path : revision.absent)
      RETURN_IF_ERROR(file(absent_member(repo, revision.commit, path), 0));
  }
  for (auto const& ref : repo.refs)
    RETURN_IF_ERROR(file(ref_member(repo, ref.name), ref.commit.text().size()));
  return sum;
}

}  // namespace

Result<ExportPlan> plan_export(std::span<ExportItem const> items, TransferControl const& control) {
  std::map<std::string, std::pair<ArchiveRepo, Path>> by_folder;
  ExportPlan plan;
  for (ExportItem const& item : items) {
    ASSIGN_OR_RETURN(ArchiveRepo repo, RepoPlanner(item, plan.left_out, control).plan());
    std::string name = repo.folder_name();
    if (!by_folder.emplace(name, std::pair(std::move(repo), item.hub_folder)).second)
      return fail(Code::kInvalidArgument, fmt::format("{} is named twice", item.id.text()));
  }
  for (auto& [name, one] : by_folder) {
    plan.manifest.repos.push_back(std::move(one.first));
    plan.hub_folders.push_back(std::move(one.second));
  }
  std::string const text = to_archive_json(plan.manifest);
  // What an import would refuse is not written: names in each other's way, too many members.
  if (auto const read = parse_archive_json(text); !read) return fail(read.error());
  ASSIGN_OR_RETURN(plan.archive_bytes,
                   tar_file_bytes(std::string(kArchiveManifestPath), text.size()));
  plan.archive_bytes += kTarEndBytes;
  for (auto const& repo : plan.manifest.repos) {
    ASSIGN_OR_RETURN(auto const bytes, bytes_of(repo));
    plan.archive_bytes += bytes;
  }
  return plan;
}

}  // namespace homelab::cache
