#include "layer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace fault_disk {
namespace {

std::string setting(char const* name) {
  auto const* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::uint64_t number(char const* name) { return std::strtoull(setting(name).c_str(), nullptr, 10); }

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    auto const end = std::min(text.find(':'), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

std::string path_of(int fd) {
  std::array<char, PATH_MAX> found = {};
  auto const name = "/proc/self/fd/" + std::to_string(fd);
  auto const length = ::readlink(name.c_str(), found.data(), found.size());
  if (length <= 0 || found[0] != '/') return "";
  return {found.data(), static_cast<std::size_t>(length)};
}

Place::Place(int folder_fd, char const* path) {
  std::string text = path;
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  auto const slash = text.rfind('/');
  name_ = slash == std::string::npos ? text : text.substr(slash + 1);
  auto const folder = slash == std::string::npos ? "." : text.substr(0, slash + 1);
  fd_ = static_cast<int>(
      ::syscall(SYS_openat, folder_fd, folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (fd_ >= 0) folder_ = path_of(fd_);
}

Place::~Place() {
  if (fd_ >= 0) ::syscall(SYS_close, fd_);
}

std::string Place::words() const { return node_of(fd_).text() + " " + hexadecimal(name_); }

bool Place::there(off_t* size) const {
  struct stat found = {};
  *size = -1;
  if (::fstatat(fd_, name_.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (S_ISREG(found.st_mode)) *size = found.st_size;
  return true;
}

Node Place::node() const {
  struct stat found = {};
  if (::fstatat(fd_, name_.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) std::abort();
  return {found.st_dev, found.st_ino};
}

Layer& Layer::instance() {
  static auto* layer = new Layer();  // lives until the last call of the process
  return *layer;
}

Layer::Layer()
    : roots_(split(setting("FAULT_DISK_ROOTS"))),
      at_(number("FAULT_DISK_AT")),
      chance_(number("FAULT_DISK_CHANCE")),
      bytes_left_(number("FAULT_DISK_BYTES")),
      report_(setting("FAULT_DISK_REPORT")),
      journal_(setting("FAULT_DISK_JOURNAL")),
      random_(number("FAULT_DISK_SEED")) {
  auto const kind = setting("FAULT_DISK_KIND");
  if (kind == "kill")
    kind_ = Kind::kKill;
  else if (kind == "eio")
    kind_ = Kind::kEio;
  else if (kind == "eio_read")
    kind_ = Kind::kEioRead;
  else if (kind == "enospc")
    kind_ = Kind::kEnospc;
  else if (kind != "count")
    std::abort();
  ::unsetenv("LD_PRELOAD");  // programs that this one starts have a disk that works
}

bool Layer::watches(std::string const& path) const {
  for (auto const& root : roots_)
    if (path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/'))
      return true;
  return false;
}

bool Layer::strikes(std::uint64_t number) {
  return at_ != 0 ? number == at_ : random_() % 1'000'000 < chance_;
}

int Layer::before_change(char const* call, std::string const& path, bool makes_something) {
  ++changes_;
  if (kind_ == Kind::kKill && strikes(changes_)) {
    report("fault " + std::string(call) + " " + path);
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
  }
  if (kind_ == Kind::kEio && strikes(changes_)) {
    report("fault " + std::string(call) + " " + path);
    return EIO;
  }
  if (kind_ == Kind::kEnospc && makes_something && bytes_left_ == 0) {
    report("fault " + std::string(call) + " " + path);
    return ENOSPC;
  }
  return 0;
}

std::optional<std::size_t> Layer::before_write(char const* call, std::string const& path,
                                               std::size_t wanted) {
  if (auto const error = before_change(call, path, wanted > 0)) {
    errno = error;
    return std::nullopt;
  }
  if (kind_ == Kind::kEnospc) {
    wanted = std::min<std::uint64_t>(wanted, bytes_left_);
    bytes_left_ -= wanted;
  }
  written_ += wanted;
  return wanted;
}

int Layer::before_read(char const* call, std::string const& path) {
  ++reads_;
  if (kind_ != Kind::kEioRead || !strikes(reads_)) return 0;
  report("fault " + std::string(call) + " " + path);
  return EIO;
}

void Layer::report(std::string const& line) const {
  if (!report_.empty()) Journal(report_).line(line);
}

void Layer::end() {
  report("end " + std::to_string(changes_) + " " + std::to_string(reads_) + " " +
         std::to_string(written_));
}

}  // namespace fault_disk

namespace {
[[gnu::constructor]] void start() { static_cast<void>(fault_disk::Layer::instance()); }
[[gnu::destructor]] void finish() { fault_disk::Layer::instance().end(); }
}  // namespace
