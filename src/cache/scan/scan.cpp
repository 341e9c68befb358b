#include "cache/scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <set>
#include <utility>

#include "../index/remembered.h"
#include "base/strings.h"
#include "blob_pass.h"
#include "findings.h"
#include "in_order.h"
#include "leftovers.h"
#include "ref_pass.h"
#include "snapshot_pass.h"

namespace homelab::cache {
namespace {

using scan::Findings;
using scan::FolderList;
using scan::HubPlace;
using scan::look_at;
using scan::NodeKind;
using scan::OpenFolder;

struct RepoName {
  RepoType type;
  std::string id;
};

/// "datasets--org--name" -> dataset, "org/name"; nullopt for anything else (hf-cache rules, §2.1).
std::optional<RepoName> parse_folder_name(std::string_view name) {
  for (auto const type :
       {RepoType::kModel, RepoType::kDataset, RepoType::kSpace, RepoType::kKernel}) {
    std::string const prefix = std::string(to_string(type)) + "s--";
    if (!name.starts_with(prefix) || name.size() == prefix.size()) continue;
    RepoName out{type, {}};
    std::string_view rest = name.substr(prefix.size());
    while (true) {
      auto const at = rest.find("--");
      out.id += rest.substr(0, at);
      if (at == std::string_view::npos) return out;
      out.id += '/';
      rest.remove_prefix(at + 2);
    }
  }
  return std::nullopt;
}

void read_trees(Findings& findings, OpenFolder const& repo) {
  OpenFolder const trees = findings.enter(repo, "trees", 1);
  for (std::size_t i = 0; trees.fd && i < trees.names.size(); ++i) {
    auto const node = trees.names[i];
    struct stat found{};
    if (!look_at(trees.fd.get(), node.name, found)) continue;
    if (S_ISDIR(found.st_mode)) {
      findings.count_tree(trees, node.name, 2);
    } else if (S_ISREG(found.st_mode) && scan::is_temporary_tree(node.name)) {
      findings.scan.leftovers.push_back({Leftover::Kind::kTemporary, trees.shown / node.name,
                                         scan::disk_bytes(found), scan::to_ns(found.st_mtim),
                                         false});
    } else {
      findings.count_other(trees, node.name, found);
    }
  }
}

/// What stands beside the known folders: our own ref temporary, the Python client's folders in
/// which it tries links, and whatever people put there.
void read_top(Findings& findings, OpenFolder const& repo) {
  constexpr std::array<std::string_view, 4> kKnown = {"blobs", "snapshots", "refs", "trees"};
  for (std::size_t i = 0; i < repo.names.size(); ++i) {
    auto const node = repo.names[i];
    if (std::ranges::find(kKnown, std::string_view(node.name)) != kKnown.end()) continue;
    struct stat found{};
    if (!look_at(repo.fd.get(), node.name, found)) continue;
    if (S_ISDIR(found.st_mode)) {
      findings.count_tree(repo, node.name, 1);
    } else if (S_ISREG(found.st_mode) && std::string_view(node.name) == ".homelab-ref.part") {
      findings.scan.leftovers.push_back({Leftover::Kind::kTemporary, repo.shown / node.name,
                                         scan::disk_bytes(found), scan::to_ns(found.st_mtim),
                                         false});
    } else {
      findings.count_other(repo, node.name, found);
    }
  }
}

bool has(OpenFolder const& folder, std::string_view name) {
  for (std::size_t i = 0; i < folder.names.size(); ++i) {
    if (folder.names[i].name == name) return true;
  }
  return false;
}

struct RepoDoor {
  std::string const& folder_name;
  int parent;  ///< the folder through which `opened_as` leads to the repository
  char const* opened_as;
};

/// Puts what the name says where it belongs.
void set_name(RepoScan& scan, HubPlace const& hub, std::string const& folder_name, RepoName name) {
  scan.type = name.type;
  scan.id = std::move(name.id);
  scan.folder = hub.path / folder_name;
}

/// nullopt: it vanished. `watch` may be nullptr.
std::optional<RepoScan> read_repo(HubPlace const& hub, RepoDoor const& door, RepoName name,
                                  index::Watch* watch) {
  RepoScan result;
  set_name(result, hub, door.folder_name, std::move(name));
  Findings findings(hub, door.folder_name, result, watch);
  OpenFolder const repo = findings.enter_repo(door.parent, door.opened_as);
  if (!repo.fd) return result.complete ? std::nullopt : std::optional(std::move(result));
  scan::BlobPass blobs(findings);
  blobs.read(repo);
  scan::SnapshotPass(findings, blobs).read(repo);
  auto const new_place = blobs.sort();
  for (auto& revision : result.revisions) {
    for (auto& entry : revision.entries) {
      if (entry.blob && !new_place.empty()) entry.blob = new_place[*entry.blob];
    }
  }
  scan::RefPass(findings).read(repo);
  read_trees(findings, repo);
  read_top(findings, repo);
  if (!has(repo, "snapshots")) {
    findings.problem(result.folder,
                     "has no snapshots; the Python client's scanner calls it corrupted");
  }
  for (auto const& [ref, commit] : result.dangling_refs) {
    findings.problem(result.folder / "refs" / ref,
                     "names commit " + commit + ", which has no snapshot; download it again");
  }
  std::ranges::sort(result.leftovers, {}, &Leftover::path);
  return result;
}

std::optional<RepoScan> read_or_recall(HubPlace const& hub, std::string const& folder_name,
                                       index::Remembered* memory) {
  auto name = *parse_folder_name(folder_name);
  RepoDoor const door{folder_name, hub.folder.get(), folder_name.c_str()};
  if (memory == nullptr) return read_repo(hub, door, std::move(name), nullptr);
  if (auto known = memory->recall(folder_name)) {
    set_name(*known, hub, folder_name, std::move(name));
    return known;
  }
  memory->begin();
  index::Watch watch;
  auto found = read_repo(hub, door, std::move(name), &watch);
  if (found) memory->keep(folder_name, std::move(watch), *found);
  return found;
}

Result<HubPlace> open_hub(Path const& path) {
  HubPlace hub;
  hub.path = path;
  hub.folder = os::UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
  if (!hub.folder) return fail_errno("open cache folder", path.string(), errno);
  hub.store = scan::open_folder_at(hub.folder.get(), "blobs");
  return hub;
}

/// The shared store (hf-cache rules, §6), entry by entry of the hub folder.
class HubPass {
 public:
  explicit HubPass(HubPlace const& hub) : hub_(hub) {}

  HubScan out;

  /// True for a folder of a repository; everything else is noted.
  bool is_repo(FolderList::Node const& node);
  void read_store();

 private:
  void add_payload(int shelf, char const* name);

  HubPlace const& hub_;
  std::set<std::string> lower_;
};

bool HubPass::is_repo(FolderList::Node const& node) {
  constexpr std::array<std::string_view, 6> kSkipped = {".DS_Store", "Thumbs.db",    "desktop.ini",
                                                        ".locks",    "CACHEDIR.TAG", "blobs"};
  if (std::ranges::find(kSkipped, std::string_view(node.name)) != kSkipped.end()) return false;
  NodeKind kind = node.kind;
  struct stat found{};
  if (kind == NodeKind::kUnknown && look_at(hub_.folder.get(), node.name, found))
    kind = scan::kind_of(found.st_mode);
  bool const is_name = parse_folder_name(node.name).has_value();
  if (is_name && kind == NodeKind::kLink) {
    out.links.push_back(hub_.path / node.name);
  } else if (!is_name || kind != NodeKind::kFolder) {
    out.problems.push_back({hub_.path / node.name, "is no folder of a repository"});
  } else {
    if (!lower_.insert(to_lower(node.name)).second) {
      out.problems.push_back({hub_.path / node.name,
                              "differs from another repository only in upper and lower case; the "
                              "Python client's removal mixes them up"});
    }
    return true;
  }
  return false;
}

void HubPass::read_store() {
  if (!hub_.store) return;
  struct stat marker{};
  bool const marked =
      look_at(hub_.store.get(), ".huggingface-shared-blobs", marker) && S_ISREG(marker.st_mode);
  std::size_t left = std::numeric_limits<std::size_t>::max();
  FolderList shelves;
  if (int const error = shelves.read(hub_.store.get(), left); error != 0) return;
  if (!marked && shelves.size() > 0) {
    out.problems.push_back(
        {hub_.path / "blobs", "has no marker file, so it is not used as the shared store"});
  }
  for (std::size_t i = 0; i < shelves.size(); ++i) {
    os::UniqueFd const shelf = scan::open_folder_at(hub_.store.get(), shelves[i].name);
    FolderList names;
    if (!shelf || names.read(shelf.get(), left) != 0) continue;
    for (std::size_t k = 0; k < names.size(); ++k) add_payload(shelf.get(), names[k].name);
  }
}

void HubPass::add_payload(int shelf, char const* name) {
  struct stat found{};
  if (std::string_view(name).size() != 64 || !BlobName::parse(name) ||
      !look_at(shelf, name, found) || !S_ISREG(found.st_mode))
    return;
  ++out.store_payloads;
  out.store_size_bytes += scan::size_bytes(found);
  out.store_disk_bytes += scan::disk_bytes(found);
}

}  // namespace

std::string_view to_string(RepoType type) {
  switch (type) {
    case RepoType::kModel:
      return "model";
    case RepoType::kDataset:
      return "dataset";
    case RepoType::kSpace:
      return "space";
    case RepoType::kKernel:
      return "kernel";
  }
  return "model";
}

std::optional<BlobName> BlobFacts::hash() const {
  auto parsed = BlobName::parse(name);
  if (!parsed) return std::nullopt;
  return std::move(*parsed);
}

std::uint64_t RepoScan::size_bytes() const {
  std::set<FileIdentity> seen;
  std::uint64_t sum = plain_bytes;
  for (auto const& blob : blobs) {
    bool const may_repeat = blob.names > 1 || blob.in_shared_store;
    if (!may_repeat || seen.insert(blob.identity).second) sum += blob.size_bytes;
  }
  return sum;
}

std::uint64_t RepoScan::own_disk_bytes() const {
  std::set<FileIdentity> seen;
  std::uint64_t sum = other_disk_bytes + link_disk_bytes;
  for (auto const& leftover : leftovers) sum += leftover.disk_bytes;
  for (auto const& blob : blobs) {
    if (blob.in_shared_store) continue;
    if (blob.names <= 1 || seen.insert(blob.identity).second) sum += blob.disk_bytes;
  }
  return sum;
}

std::int64_t RepoScan::last_used_ns() const {
  std::int64_t newest = plain_accessed_ns;
  for (auto const& blob : blobs) newest = std::max(newest, blob.accessed_ns);
  return newest;
}

Result<HubScan> scan_hub(Path const& hub_folder, std::function<Status(RepoScan&&)> const& visit,
                         ScanDepth depth, ScanSource source) {
  ASSIGN_OR_RETURN(HubPlace hub, open_hub(hub_folder));
  hub.depth = depth;
  HubPass pass(hub);
  FolderList names;
  std::size_t left = std::numeric_limits<std::size_t>::max();
  if (int const error = names.read(hub.folder.get(), left); error != 0)
    return fail_errno("read cache folder", hub_folder.string(), error);
  names.sort_by_name();
  std::vector<char const*> repos;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (pass.is_repo(names[i])) repos.push_back(names[i].name);
  // Entries are not remembered.
  std::optional<index::Remembered> memory;
  if (source == ScanSource::kIndex && depth != ScanDepth::kEverything) memory.emplace(hub);
  auto const read = [&](std::size_t at) {
    return read_or_recall(hub, repos[at], memory ? &*memory : nullptr);
  };
  RETURN_IF_ERROR(scan::read_in_order(repos.size(), read, visit));
  if (memory) memory->finish();
  pass.read_store();
  return std::move(pass.out);
}

Result<RepoScan> scan_repo(Path const& repo_folder, ScanDepth depth) {
  // "x/models--a/" and "x/models--a" are the same folder.
  Path const folder = repo_folder.has_filename() ? repo_folder : repo_folder.parent_path();
  std::string const folder_name = folder.filename().string();
  auto name = parse_folder_name(folder_name);
  if (!name) {
    return fail(Code::kInvalidArgument, folder.string() +
                                            " is not named like a repository, for "
                                            "example models--organisation--name");
  }
  ASSIGN_OR_RETURN(HubPlace hub, open_hub(folder.parent_path()));
  hub.depth = depth;
  os::UniqueFd const repo(::openat(hub.folder.get(), folder_name.c_str(),
                                   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
  if (!repo) return fail_errno("open repository folder", folder.string(), errno);
  auto result = read_repo(hub, {folder_name, repo.get(), "."}, std::move(*name), nullptr);
  if (!result) return fail(Code::kNotFound, folder.string() + " vanished while it was read");
  return std::move(*result);
}

}  // namespace homelab::cache
