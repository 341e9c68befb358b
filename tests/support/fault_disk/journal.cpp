#include "journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

namespace fault_disk {

std::string Node::text() const { return std::to_string(device) + ":" + std::to_string(inode); }

Node node_of(int fd) {
  struct stat found = {};
  if (::fstat(fd, &found) != 0) std::abort();
  return {found.st_dev, found.st_ino};
}

std::string hexadecimal(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (char const byte : bytes) {
    auto const value = static_cast<unsigned char>(byte);
    out += kDigits[value >> 4U];
    out += kDigits[value & 15U];
  }
  return out.empty() ? "-" : out;
}

// The layer's own calls go to the kernel directly: the C library's names are ours in this process.
Journal::Journal(std::string const& path) {
  if (path.empty()) return;
  fd_ = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (fd_ < 0) std::abort();
}

void Journal::append(std::span<char const> bytes) const {
  while (!bytes.empty()) {
    auto const written = ::syscall(SYS_write, fd_, bytes.data(), bytes.size());
    if (written <= 0) std::abort();
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void Journal::line(std::string const& words) const {
  if (fd_ >= 0) append(words + "\n");
}

void Journal::data(int fd, off_t offset, std::span<char const> bytes) const {
  if (fd_ < 0) return;
  line("write " + node_of(fd).text() + " " + std::to_string(offset) + " " +
       std::to_string(bytes.size()));
  append(bytes);
}

void Journal::data_from_file(int fd, off_t offset, std::size_t length) const {
  if (fd_ < 0) return;
  std::vector<char> bytes(length);
  auto const name =
      "/proc/self/fd/" + std::to_string(fd);  // the descriptor may be for writing only
  auto const again =
      static_cast<int>(::syscall(SYS_openat, AT_FDCWD, name.c_str(), O_RDONLY | O_CLOEXEC));
  if (again < 0) std::abort();
  auto const got = ::syscall(SYS_pread64, again, bytes.data(), length, offset);
  ::syscall(SYS_close, again);
  if (got < 0) std::abort();
  data(fd, offset, std::span(bytes).first(static_cast<std::size_t>(got)));
}

}  // namespace fault_disk
