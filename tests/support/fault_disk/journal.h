#pragma once
// What a program did to a tree, in the order in which it happened, so that the disk after a power
// cut can be worked out (tests/support/power_cut.py reads it and says what is assumed).
//
// One line per change, words separated by a space; a name is written in hexadecimal, a file or
// folder as DEVICE:INODE:
//   create|mkdir|link FOLDER NAME NODE       symlink FOLDER NAME NODE TARGET      unlink|rmdir
//   FOLDER NAME rename|exchange FOLDER NAME FOLDER NAME  write NODE OFFSET LENGTH, then LENGTH
//   bytes truncate NODE SIZE                       sync NODE                            syncfs NODE
#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>

namespace fault_disk {

/// A file or folder, whatever its names are.
struct Node {
  dev_t device = 0;
  ino_t inode = 0;

  [[nodiscard]] std::string text() const;
};
[[nodiscard]] Node node_of(int fd);

[[nodiscard]] std::string hexadecimal(std::string_view bytes);

/// Appends to a file outside the tree. One thread at a time (the layer's lock).
class Journal {
 public:
  /// Empty path: nothing is kept.
  explicit Journal(std::string const& path);

  void line(std::string const& words) const;
  void data(int fd, off_t offset, std::span<char const> bytes) const;
  /// Like data(), for bytes the kernel copied: reads them back.
  void data_from_file(int fd, off_t offset, std::size_t length) const;

 private:
  void append(std::span<char const> bytes) const;

  int fd_ = -1;
};

}  // namespace fault_disk
