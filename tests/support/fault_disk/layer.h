#pragma once
// Decides, call by call, whether the disk obeys. Driven by the environment:
//   FAULT_DISK_ROOTS    folders, separated by ':'; only what stands below them is watched (and
//   counted) FAULT_DISK_KIND     count: nothing happens              kill: SIGKILL instead of
//   changing call number AT
//                       eio: changing calls fail with EIO   eio_read: reads do
//                       enospc: ENOSPC once BYTES bytes were written
//   FAULT_DISK_AT       the number of the call, from 1; for eio and eio_read 0 means: each with
//   chance CHANCE FAULT_DISK_CHANCE   in millionths FAULT_DISK_SEED, FAULT_DISK_BYTES
//   FAULT_DISK_JOURNAL  file for journal.h; what is in it was done when the process died
//   FAULT_DISK_REPORT   file that gets a line `fault CALL PATH` for each fault and, if the program
//   came to its end,
//                       `end CHANGING_CALLS READS WRITTEN_BYTES`
//
// Seen are the C library's calls of the program and of its libraries; not seen: calls that the C
// library makes for itself (stdio), direct system calls, stores through a shared mapping. The
// programs use none of these below a cache folder; power_cut.py compares the journal with the tree
// to make sure.
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "journal.h"

namespace fault_disk {

/// A name in a folder; the folder is open while this lives.
class Place {
 public:
  Place(int folder_fd, char const* path);
  Place(Place const&) = delete;
  Place& operator=(Place const&) = delete;
  ~Place();

  [[nodiscard]] bool known() const { return fd_ >= 0; }
  [[nodiscard]] std::string const& name() const { return name_; }
  [[nodiscard]] std::string path() const { return folder_ + "/" + name_; }
  /// FOLDER NAME for the journal.
  [[nodiscard]] std::string words() const;
  /// Size when a regular file stands there, else -1; `there` when anything does.
  [[nodiscard]] bool there(off_t* size) const;
  [[nodiscard]] Node node() const;

 private:
  int fd_ = -1;
  std::string folder_;
  std::string name_;
};

/// Path of an open file, "" for what is none.
[[nodiscard]] std::string path_of(int fd);

class Layer {
 public:
  static Layer& instance();

  [[nodiscard]] bool watches(std::string const& path) const;
  [[nodiscard]] bool watches(int fd) const { return watches(path_of(fd)); }

  /// Before a change that stores up to `bytes`: 0 = go on, else the errno to fail with. May not
  /// return.
  [[nodiscard]] int before_change(char const* call, std::string const& path,
                                  bool makes_something = false);
  /// Before `wanted` bytes are written: how many the disk takes now; none with errno set.
  [[nodiscard]] std::optional<std::size_t> before_write(char const* call, std::string const& path,
                                                        std::size_t wanted);
  [[nodiscard]] int before_read(char const* call, std::string const& path);
  [[nodiscard]] Journal const& journal() const { return journal_; }
  [[nodiscard]] std::mutex& mutex() { return mutex_; }
  void end();

 private:
  enum class Kind : std::uint8_t { kCount, kKill, kEio, kEioRead, kEnospc };

  Layer();
  [[nodiscard]] bool strikes(std::uint64_t number);
  void report(std::string const& line) const;

  std::mutex mutex_;
  std::vector<std::string> roots_;
  Kind kind_ = Kind::kCount;
  std::uint64_t at_ = 0;
  std::uint64_t chance_ = 0;
  std::uint64_t bytes_left_ = 0;
  std::string report_;
  Journal journal_;
  std::mt19937_64 random_;
  std::uint64_t changes_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t written_ = 0;
};

}  // namespace fault_disk
