// The calls of the C library that change or read files, each asking the layer first. A call on
// something that is not watched goes straight on.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "layer.h"

namespace {

using fault_disk::Journal;
using fault_disk::Layer;
using fault_disk::Place;

template <typename Function>
Function* next(char const* name) {
  auto* found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function*>(found);
}

int failed(int error) {
  errno = error;
  return -1;
}

/// A change of names; `call` does it, `note` writes it down. Either place may be outside; then the
/// other is not noted either, so a tree that is watched must be watched whole.
template <typename Call, typename Note>
int change_names(char const* name, Place const& at, bool makes, Call call, Note note) {
  auto& layer = Layer::instance();
  if (!at.known() || !layer.watches(at.path())) return call();
  std::scoped_lock const lock(layer.mutex());
  if (auto const error = layer.before_change(name, at.path(), makes)) return failed(error);
  int const result = call();
  if (result == 0) {
    auto const kept = errno;
    note(layer.journal());
    errno = kept;
  }
  return result;
}

using Open = int(int, char const*, int, mode_t);

int open_watched(int folder, char const* path, int flags, mode_t mode) {
  static auto* const real = next<int(int, char const*, int, ...)>("openat");
  if ((flags & (O_CREAT | O_TRUNC)) == 0 || (flags & O_TMPFILE) == O_TMPFILE)
    return real(folder, path, flags, mode);
  Place const at(folder, path);
  auto& layer = Layer::instance();
  if (!at.known() || !layer.watches(at.path())) return real(folder, path, flags, mode);
  std::scoped_lock const lock(layer.mutex());
  off_t size = -1;
  bool const there = at.there(&size);
  bool const empties = there && size > 0 && (flags & O_TRUNC) != 0;
  if (there && !empties) return real(folder, path, flags, mode);
  if (auto const error = layer.before_change("open", at.path(), !there)) return failed(error);
  int const fd = real(folder, path, flags, mode);
  if (fd < 0) return fd;
  auto const node = fault_disk::node_of(fd).text();
  layer.journal().line(there ? "truncate " + node + " 0" : "create " + at.words() + " " + node);
  return fd;
}

/// `call(bytes)` writes at most so many; gives what it gave. `place` tells where they went (after
/// the call).
template <typename Call, typename Note>
ssize_t write_watched(char const* name, int fd, std::size_t wanted, Call call, Note note) {
  auto& layer = Layer::instance();
  auto const path = fault_disk::path_of(fd);
  if (path.empty() || !layer.watches(path)) return call(wanted);
  std::scoped_lock const lock(layer.mutex());
  auto const taken = layer.before_write(name, path, wanted);
  if (!taken) return -1;
  auto const done = call(*taken);
  if (done > 0) note(layer.journal(), static_cast<std::size_t>(done));
  return done;
}

/// Where the `done` bytes before the file's position begin.
off_t begin_of(int fd, std::size_t done) {
  return ::lseek(fd, 0, SEEK_CUR) - static_cast<off_t>(done);
}

template <typename Call>
ssize_t read_watched(char const* name, int fd, Call call) {
  auto& layer = Layer::instance();
  auto const path = fault_disk::path_of(fd);
  if (path.empty() || !layer.watches(path)) return call();
  {
    std::scoped_lock const lock(layer.mutex());
    if (auto const error = layer.before_read(name, path)) return failed(error);
  }
  return call();
}

template <typename Call>
int sync_watched(char const* name, char const* word, int fd, Call call) {
  auto& layer = Layer::instance();
  auto const path = fault_disk::path_of(fd);
  if (path.empty() || !layer.watches(path)) return call();
  std::scoped_lock const lock(layer.mutex());
  if (auto const error = layer.before_change(name, path)) return failed(error);
  int const result = call();
  if (result == 0) layer.journal().line(std::string(word) + " " + fault_disk::node_of(fd).text());
  return result;
}

int resize_watched(char const* name, int fd, off_t size, bool grows_only, int (*call)(int, off_t)) {
  auto& layer = Layer::instance();
  auto const path = fault_disk::path_of(fd);
  if (path.empty() || !layer.watches(path)) return call(fd, size);
  std::scoped_lock const lock(layer.mutex());
  if (auto const error = layer.before_change(name, path, grows_only)) return failed(error);
  int const result = call(fd, size);
  if (result == 0)
    layer.journal().line("truncate " + fault_disk::node_of(fd).text() + " " + std::to_string(size));
  return result;
}

int rename_watched(int from_folder, char const* from, int to_folder, char const* to,
                   unsigned flags) {
  static auto* const real = next<int(int, char const*, int, char const*, unsigned)>("renameat2");
  Place const old_place(from_folder, from);
  Place const new_place(to_folder, to);
  return change_names(
      "rename", new_place, false, [&] { return real(from_folder, from, to_folder, to, flags); },
      [&](Journal const& journal) {
        journal.line(((flags & RENAME_EXCHANGE) != 0 ? "exchange " : "rename ") +
                     old_place.words() + " " + new_place.words());
      });
}

int link_watched(int from_folder, char const* from, int to_folder, char const* to, int flags) {
  static auto* const real = next<int(int, char const*, int, char const*, int)>("linkat");
  Place const at(to_folder, to);
  return change_names(
      "link", at, true, [&] { return real(from_folder, from, to_folder, to, flags); },
      [&](Journal const& journal) { journal.line("link " + at.words() + " " + at.node().text()); });
}

int symlink_watched(char const* target, int folder, char const* path) {
  static auto* const real = next<int(char const*, int, char const*)>("symlinkat");
  Place const at(folder, path);
  return change_names(
      "symlink", at, true, [&] { return real(target, folder, path); },
      [&](Journal const& journal) {
        journal.line("symlink " + at.words() + " " + at.node().text() + " " +
                     fault_disk::hexadecimal(target));
      });
}

int unlink_watched(int folder, char const* path, int flags) {
  static auto* const real = next<int(int, char const*, int)>("unlinkat");
  Place const at(folder, path);
  return change_names(
      "unlink", at, false, [&] { return real(folder, path, flags); },
      [&](Journal const& journal) {
        journal.line(((flags & AT_REMOVEDIR) != 0 ? "rmdir " : "unlink ") + at.words());
      });
}

int mkdir_watched(int folder, char const* path, mode_t mode) {
  static auto* const real = next<int(int, char const*, mode_t)>("mkdirat");
  Place const at(folder, path);
  return change_names(
      "mkdir", at, true, [&] { return real(folder, path, mode); },
      [&](Journal const& journal) {
        journal.line("mkdir " + at.words() + " " + at.node().text());
      });
}

mode_t mode_of(int flags, std::va_list rest) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(rest, int)) : 0;
}

std::size_t total(iovec const* parts, int count) {
  std::size_t sum = 0;
  for (int i = 0; i < count; ++i) sum += parts[i].iov_len;
  return sum;
}

}  // namespace

// NOLINTBEGIN: names, signatures and variable arguments are the C library's.
extern "C" {

#define FAULT_DISK_OPEN(NAME)                         \
  int NAME(char const* path, int flags, ...) {        \
    va_list rest;                                     \
    va_start(rest, flags);                            \
    mode_t const mode = mode_of(flags, rest);         \
    va_end(rest);                                     \
    return open_watched(AT_FDCWD, path, flags, mode); \
  }
#define FAULT_DISK_OPENAT(NAME)                            \
  int NAME(int folder, char const* path, int flags, ...) { \
    va_list rest;                                          \
    va_start(rest, flags);                                 \
    mode_t const mode = mode_of(flags, rest);              \
    va_end(rest);                                          \
    return open_watched(folder, path, flags, mode);        \
  }
FAULT_DISK_OPEN(open)
FAULT_DISK_OPEN(open64)
FAULT_DISK_OPENAT(openat)
FAULT_DISK_OPENAT(openat64)

int mkdir(char const* path, mode_t mode) noexcept { return mkdir_watched(AT_FDCWD, path, mode); }
int mkdirat(int folder, char const* path, mode_t mode) noexcept {
  return mkdir_watched(folder, path, mode);
}
int rmdir(char const* path) noexcept { return unlink_watched(AT_FDCWD, path, AT_REMOVEDIR); }
int unlink(char const* path) noexcept { return unlink_watched(AT_FDCWD, path, 0); }
int unlinkat(int folder, char const* path, int flags) noexcept {
  return unlink_watched(folder, path, flags);
}
int remove(char const* path) noexcept {
  int const result = unlink_watched(AT_FDCWD, path, 0);
  return result != 0 && errno == EISDIR ? unlink_watched(AT_FDCWD, path, AT_REMOVEDIR) : result;
}
int rename(char const* from, char const* to) noexcept {
  return rename_watched(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int from_folder, char const* from, int to_folder, char const* to) noexcept {
  return rename_watched(from_folder, from, to_folder, to, 0);
}
int renameat2(int from_folder, char const* from, int to_folder, char const* to,
              unsigned flags) noexcept {
  return rename_watched(from_folder, from, to_folder, to, flags);
}
int link(char const* from, char const* to) noexcept {
  return link_watched(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int linkat(int from_folder, char const* from, int to_folder, char const* to, int flags) noexcept {
  return link_watched(from_folder, from, to_folder, to, flags);
}
int symlink(char const* target, char const* path) noexcept {
  return symlink_watched(target, AT_FDCWD, path);
}
int symlinkat(char const* target, int folder, char const* path) noexcept {
  return symlink_watched(target, folder, path);
}

ssize_t write(int fd, void const* bytes, size_t count) {
  static auto* const real = next<ssize_t(int, void const*, size_t)>("write");
  return write_watched(
      "write", fd, count, [&](size_t most) { return real(fd, bytes, most); },
      [&](Journal const& journal, size_t done) {
        journal.data(fd, begin_of(fd, done), {static_cast<char const*>(bytes), done});
      });
}

#define FAULT_DISK_PWRITE(NAME)                                                       \
  ssize_t NAME(int fd, void const* bytes, size_t count, off_t offset) {               \
    static auto* const real = next<ssize_t(int, void const*, size_t, off_t)>(#NAME);  \
    return write_watched(                                                             \
        #NAME, fd, count, [&](size_t most) { return real(fd, bytes, most, offset); }, \
        [&](Journal const& journal, size_t done) {                                    \
          journal.data(fd, offset, {static_cast<char const*>(bytes), done});          \
        });                                                                           \
  }
FAULT_DISK_PWRITE(pwrite)
FAULT_DISK_PWRITE(pwrite64)

ssize_t writev(int fd, iovec const* parts, int count) {
  static auto* const real = next<ssize_t(int, iovec const*, int)>("writev");
  static auto* const plain = next<ssize_t(int, void const*, size_t)>("write");
  auto const all = total(parts, count);
  return write_watched(
      "writev", fd, all,
      // A disk that takes less takes the first part at most; callers must go on from there anyway.
      [&](size_t most) {
        return most == all || count == 0
                   ? real(fd, parts, count)
                   : plain(fd, parts[0].iov_base, std::min(most, parts[0].iov_len));
      },
      [&](Journal const& journal, size_t done) {
        journal.data_from_file(fd, begin_of(fd, done), done);
      });
}

ssize_t sendfile(int to, int from, off_t* offset, size_t count) noexcept {
  static auto* const real = next<ssize_t(int, int, off_t*, size_t)>("sendfile");
  return write_watched(
      "sendfile", to, count, [&](size_t most) { return real(to, from, offset, most); },
      [&](Journal const& journal, size_t done) {
        journal.data_from_file(to, begin_of(to, done), done);
      });
}

ssize_t copy_file_range(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t count,
                        unsigned flags) {
  static auto* const real =
      next<ssize_t(int, off64_t*, int, off64_t*, size_t, unsigned)>("copy_file_range");
  return write_watched(
      "copy_file_range", to, count,
      [&](size_t most) { return real(from, from_offset, to, to_offset, most, flags); },
      [&](Journal const& journal, size_t done) {
        auto const begin =
            to_offset == nullptr ? begin_of(to, done) : *to_offset - static_cast<off_t>(done);
        journal.data_from_file(to, begin, done);
      });
}

int ioctl(int fd, unsigned long request, ...) noexcept {
  static auto* const real = next<int(int, unsigned long, ...)>("ioctl");
  va_list rest;
  va_start(rest, request);
  auto* argument = va_arg(rest, void*);
  va_end(rest);
  if (request != FICLONE) return real(fd, request, argument);
  auto const done = write_watched(
      "clone", fd, 0, [&](size_t) -> ssize_t { return real(fd, request, argument) == 0 ? 1 : -1; },
      [&](Journal const& journal, size_t) {
        struct stat now = {};
        if (::fstat(fd, &now) == 0) journal.data_from_file(fd, 0, static_cast<size_t>(now.st_size));
      });
  return done > 0 ? 0 : -1;
}

int fsync(int fd) {
  static auto* const real = next<int(int)>("fsync");
  return sync_watched("fsync", "sync", fd, [&] { return real(fd); });
}
int fdatasync(int fd) {
  static auto* const real = next<int(int)>("fdatasync");
  return sync_watched("fdatasync", "sync", fd, [&] { return real(fd); });
}
int syncfs(int fd) noexcept {
  static auto* const real = next<int(int)>("syncfs");
  return sync_watched("syncfs", "syncfs", fd, [&] { return real(fd); });
}

int ftruncate(int fd, off_t size) noexcept {
  static auto* const real = next<int(int, off_t)>("ftruncate");
  return resize_watched("ftruncate", fd, size, false, real);
}
int ftruncate64(int fd, off64_t size) noexcept { return ftruncate(fd, size); }

#define FAULT_DISK_FALLOCATE(NAME)                                                       \
  int NAME(int fd, int mode, off_t offset, off_t length) {                               \
    static auto* const real = next<int(int, int, off_t, off_t)>(#NAME);                  \
    auto& layer = Layer::instance();                                                     \
    auto const path = fault_disk::path_of(fd);                                           \
    if (path.empty() || !layer.watches(path)) return real(fd, mode, offset, length);     \
    std::scoped_lock const lock(layer.mutex());                                          \
    if (auto const error = layer.before_change(#NAME, path, true)) return failed(error); \
    int const result = real(fd, mode, offset, length);                                   \
    struct stat now = {};                                                                \
    if (result == 0 && ::fstat(fd, &now) == 0)                                           \
      layer.journal().line("truncate " + fault_disk::node_of(fd).text() + " " +          \
                           std::to_string(now.st_size));                                 \
    return result;                                                                       \
  }
FAULT_DISK_FALLOCATE(fallocate)
FAULT_DISK_FALLOCATE(fallocate64)

ssize_t read(int fd, void* bytes, size_t count) {
  static auto* const real = next<ssize_t(int, void*, size_t)>("read");
  return read_watched("read", fd, [&] { return real(fd, bytes, count); });
}
ssize_t readv(int fd, iovec const* parts, int count) {
  static auto* const real = next<ssize_t(int, iovec const*, int)>("readv");
  return read_watched("readv", fd, [&] { return real(fd, parts, count); });
}

#define FAULT_DISK_PREAD(NAME)                                                      \
  ssize_t NAME(int fd, void* bytes, size_t count, off_t offset) {                   \
    static auto* const real = next<ssize_t(int, void*, size_t, off_t)>(#NAME);      \
    return read_watched(#NAME, fd, [&] { return real(fd, bytes, count, offset); }); \
  }
FAULT_DISK_PREAD(pread)
FAULT_DISK_PREAD(pread64)

}  // extern "C"
// NOLINTEND
