#include "folder_list.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace homelab::cache::scan {
namespace {

NodeKind kind_of_entry(unsigned char type) {
  switch (type) {
    case DT_DIR:
      return NodeKind::kFolder;
    case DT_REG:
      return NodeKind::kFile;
    case DT_LNK:
      return NodeKind::kLink;
    case DT_UNKNOWN:
      return NodeKind::kUnknown;
    default:
      return NodeKind::kOther;
  }
}

}  // namespace

NodeKind kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return NodeKind::kFolder;
  if (S_ISREG(mode)) return NodeKind::kFile;
  if (S_ISLNK(mode)) return NodeKind::kLink;
  return NodeKind::kOther;
}

int FolderList::read(int folder, std::size_t& names_left) {
  constexpr std::size_t kBufferBytes = std::size_t{32} << 10;
  alignas(struct dirent64) std::array<char, kBufferBytes> buffer;
  text_.clear();
  nodes_.clear();
  while (true) {
    ssize_t const got = ::getdents64(folder, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return 0;
    if (!take(buffer.data(), buffer.data() + got, names_left)) return E2BIG;
  }
}

bool FolderList::take(char const* begin, char const* end, std::size_t& names_left) {
  while (begin < end) {
    struct dirent64 const* const entry = reinterpret_cast<struct dirent64 const*>(begin);
    begin += entry->d_reclen;
    std::string_view const name(entry->d_name);
    if (name == "." || name == "..") continue;
    if (names_left == 0) return false;
    --names_left;
    nodes_.push_back({text_.size(), kind_of_entry(entry->d_type)});
    text_.append(name.data(), name.size() + 1);
  }
  return true;
}

void FolderList::sort_by_name() {
  char const* const text = text_.data();
  std::ranges::sort(nodes_, [text](Stored const& a, Stored const& b) {
    return std::strcmp(text + a.start, text + b.start) < 0;
  });
}

os::UniqueFd open_folder_at(int parent, char const* name) {
  return os::UniqueFd(
      ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
}

bool look_at(int folder, char const* name, struct stat& found) {
  return ::fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW) == 0;
}

}  // namespace homelab::cache::scan
