#pragma once
// Something in the trash that occupies real blocks, for tests of making room.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace homelab::test {

/// Half of it is far more than the free space of a disk changes between two calls, once the tests
/// that occupy so much run one after the other.
inline constexpr std::uint64_t kTrashRecordBytes = 256UL * 1024 * 1024;

/// Held until the end of the process: two such tests at once would move each other's free space.
inline void take_turn() {
  static int const lock = [] {
    auto const name = std::filesystem::temp_directory_path() / "homelab-llm-free-space-tests.lock";
    int const file = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0 || ::flock(file, LOCK_EX) != 0) throw std::runtime_error("cannot take a turn");
    return file;
  }();
  (void)lock;
}

/// A record of kTrashRecordBytes; records are emptied in the order of their names.
inline std::filesystem::path fill_trash(std::filesystem::path const& hub, std::string const& id) {
  take_turn();
  auto const record = hub / ".locks/.homelab-llm/trash" / id;
  std::filesystem::create_directories(record);
  int const file = ::open((record / "0").c_str(), O_WRONLY | O_CREAT, 0644);
  int const failed = ::posix_fallocate(file, 0, static_cast<off_t>(kTrashRecordBytes));
  ::close(file);
  if (file < 0 || failed != 0) throw std::runtime_error("cannot fill the trash");
  return record;
}

}  // namespace homelab::test
