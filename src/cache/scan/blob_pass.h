#pragma once
// First pass over a repository: what stands in blobs/, with the payloads behind links into the
// shared store.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "findings.h"

namespace homelab::cache::scan {

class BlobPass {
 public:
  explicit BlobPass(Findings& findings) : findings_(findings) {}

  void read(OpenFolder const& repo);

  /// What a link to blobs/<name> leads to. Looks again at a name that was not there during read():
  /// a download may have finished since.
  struct Found {
    EntryFacts::State state;  ///< kLink, kDangling or kOutside
    std::size_t blob = 0;     ///< for kLink
  };
  [[nodiscard]] Found find(std::string_view name);
  /// The blob that this hard link of a snapshot is another name of.
  [[nodiscard]] std::optional<std::size_t> find(struct stat const& file) const;

  /// Where blobs/ really is, with every link above it resolved: absolute links may name it so.
  /// Empty when not known.
  [[nodiscard]] Path const& real_folder();

  /// Sorts the blobs by name; the result holds the new place of each old one, or is empty when
  /// every place stays or nothing refers to one (kSizes). Call once, at the end.
  [[nodiscard]] std::vector<std::size_t> sort();

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };

  void look(FolderList::Node const& node);
  void remember(std::string_view name, Found found);
  void add(std::string_view name, struct stat const& content, bool in_store);
  void add_leftover(char const* name, struct stat const& found);
  void add_stored(char const* name);
  [[nodiscard]] bool is_store_folder(std::string const& prefix);

  Findings& findings_;
  OpenFolder folder_;
  std::optional<Path> real_folder_;
  std::unordered_map<std::string, Found, Hash, std::equal_to<>> by_name_;
  std::map<FileIdentity, std::size_t> by_identity_;  ///< of those with several names
  std::map<std::string, bool> store_folders_;
};

}  // namespace homelab::cache::scan
