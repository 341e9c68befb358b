#pragma once
// Names of one folder, read in one go into one block of memory: a scan meets folders by the
// thousand, most of them tiny.
#include <dirent.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/os/file.h"

namespace homelab::cache::scan {

enum class NodeKind : std::uint8_t { kFolder, kFile, kLink, kOther, kUnknown };
[[nodiscard]] NodeKind kind_of(mode_t mode);

class FolderList {
 public:
  struct Node {
    char const* name;  ///< lives as long as the list
    NodeKind kind;     ///< kUnknown where the file system does not tell
  };

  /// Replaces the content with all names of `folder`, "." and ".." left out. `names_left` is
  /// lowered by the number of names; at 0 reading ends with E2BIG. Gives 0 or an errno; what was
  /// read until then stays.
  [[nodiscard]] int read(int folder, std::size_t& names_left);

  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] Node operator[](std::size_t at) const {
    return {text_.data() + nodes_[at].start, nodes_[at].kind};
  }
  void sort_by_name();

 private:
  struct Stored {
    std::size_t start;
    NodeKind kind;
  };
  bool take(char const* begin, char const* end, std::size_t& names_left);
  std::string text_;  ///< names, each ended by NUL
  std::vector<Stored> nodes_;
};

/// Opens a folder below `parent` without following a link; invalid with errno set.
[[nodiscard]] os::UniqueFd open_folder_at(int parent, char const* name);

/// fstatat without following a link.
[[nodiscard]] bool look_at(int folder, char const* name, struct stat& found);

/// Blocks of a file in bytes. st_blocks counts in units of 512, whatever the file system's block.
[[nodiscard]] inline std::uint64_t disk_bytes(struct stat const& found) {
  return static_cast<std::uint64_t>(found.st_blocks) * 512;
}
[[nodiscard]] inline std::uint64_t size_bytes(struct stat const& found) {
  return static_cast<std::uint64_t>(found.st_size);
}
[[nodiscard]] inline std::int64_t to_ns(struct timespec const& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace homelab::cache::scan
