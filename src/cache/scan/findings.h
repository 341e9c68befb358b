#pragma once
// What the passes over one repository share: where problems, leftovers and blocks are noted.
#include <sys/stat.h>

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "cache/scan.h"
#include "folder_list.h"

namespace homelab::cache::index {
class Watch;
}

namespace homelab::cache::scan {

/// What the scan of one hub folder keeps open.
struct HubPlace {
  os::UniqueFd folder;
  Path path;
  os::UniqueFd store;  ///< <hub>/blobs; invalid when there is none
  ScanDepth depth = ScanDepth::kEverything;
};

/// An open folder of a repository.
struct OpenFolder {
  os::UniqueFd fd;
  Path shown;
  struct stat facts{};
  FolderList names;
  std::size_t watched = 0;  ///< its number for Findings::watch
};

class Findings {
 public:
  /// All are kept by reference. `watched_by` may be nullptr.
  Findings(HubPlace const& in_hub, std::string const& named, RepoScan& result,
           index::Watch* watched_by)
      : hub(in_hub), folder_name(named), scan(result), watch(watched_by) {}

  HubPlace const& hub;
  std::string const& folder_name;
  RepoScan& scan;
  index::Watch* const watch;  ///< notes what is looked at; nullptr: nobody does

  void problem(Path const& path, std::string what);
  /// The same, and the scan is not complete.
  void unreadable(Path const& path, int error);

  /// Opens and lists a folder, counting its own blocks; invalid `fd` (noted as a problem) when it
  /// is no folder, cannot be read or lies too deep. What vanished meanwhile is not noted.
  [[nodiscard]] OpenFolder enter(OpenFolder const& parent, char const* name, int depth);
  /// The same for the repository itself. `opened_as`: how it is called below `parent`.
  [[nodiscard]] OpenFolder enter_repo(int parent, char const* opened_as);

  /// Blocks of something in `folder` that is neither blob nor leftover; a hard link counts once.
  void count_other(OpenFolder const& folder, char const* name, struct stat const& found);
  /// Blocks of a link whose text has `length` bytes. Only one of each length is looked at: whether
  /// a text fits beside its inode depends on nothing else, and a look at each would cost as much as
  /// the rest of the scan.
  void count_link(int folder, char const* name, std::size_t length);
  /// True for a file with one name, and the first time one with several is met.
  bool is_first_name(struct stat const& found, bool is_content);
  /// Blocks of a whole sub-tree that nobody reads otherwise.
  void count_tree(OpenFolder const& parent, char const* name, int depth);

 private:
  void open(OpenFolder& folder, int parent, char const* name);
  std::set<FileIdentity> linked_;
  std::map<std::size_t, std::uint64_t> link_bytes_;  ///< length of a link's text -> its blocks
  std::size_t names_left_ = 1'000'000;
};

/// What the facts of a blob's content say; whether it is in the shared store and needed they do
/// not.
[[nodiscard]] BlobFacts blob_facts(std::string name, struct stat const& content);

/// The kind, looked up where the listing did not tell; kOther for what vanished.
[[nodiscard]] NodeKind known_kind(OpenFolder const& folder, FolderList::Node const& node);

}  // namespace homelab::cache::scan
