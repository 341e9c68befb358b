#include "folder_entries.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <linux/fs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "durable_step.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kMaxNames = 1'000'000;

std::optional<struct stat> look(FolderAt const& folder, std::string const& name, int flags) {
  struct stat found{};
  if (::fstatat(folder.fd.get(), name.c_str(), &found, flags) != 0) return std::nullopt;
  return found;
}

}  // namespace

std::optional<struct stat> look_at(FolderAt const& folder, std::string const& name) {
  return look(folder, name, AT_SYMLINK_NOFOLLOW);
}

std::optional<struct stat> look_behind(FolderAt const& folder, std::string const& name) {
  return look(folder, name, 0);
}

bool stands_at(FolderAt const& folder, std::string const& name) {
  return look_at(folder, name).has_value();
}

bool is_same_file(struct stat const& one, struct stat const& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

std::optional<std::string> link_text(FolderAt const& folder, std::string const& name) {
  std::array<char, PATH_MAX> text{};
  ssize_t const length = ::readlinkat(folder.fd.get(), name.c_str(), text.data(), text.size());
  if (length < 0) return std::nullopt;
  return std::string(text.data(), static_cast<std::size_t>(length));
}

Result<std::vector<std::string>> names_in(FolderAt const& folder) {
  // A descriptor of its own: reading moves its position.
  ASSIGN_OR_RETURN(os::UniqueFd own, os::open_at(folder.fd.get(), ".", O_RDONLY | O_DIRECTORY));
  DIR* const stream = ::fdopendir(own.get());
  if (stream == nullptr) return fail_errno("read folder", folder.shown, errno);
  own.release();
  std::unique_ptr<DIR, int (*)(DIR*)> const owner(stream, ::closedir);
  std::vector<std::string> names;
  errno = 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): every stream is read by one thread
  while (dirent const* entry = ::readdir(stream)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (names.size() == kMaxNames)
      return fail(Code::kResourceExhausted,
                  fmt::format("{} holds more than {} entries", folder.shown, kMaxNames));
    names.push_back(std::move(name));
    errno = 0;
  }
  if (errno != 0) return fail_errno("read folder", folder.shown, errno);
  std::ranges::sort(names);
  return names;
}

Status exchange(FolderAt const& from, std::string const& name, FolderAt const& to,
                std::string const& other) {
  durable_step("exchange");
  if (::renameat2(from.fd.get(), name.c_str(), to.fd.get(), other.c_str(), RENAME_EXCHANGE) == 0)
    return {};
  if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
    return fail(Code::kUnimplemented, "the file system cannot exchange two names");
  return fail_errno("exchange", from.in(name), errno);
}

Status make_link(FolderAt const& folder, std::string const& name, std::string const& text) {
  durable_step("link");
  if (::symlinkat(text.c_str(), folder.fd.get(), name.c_str()) != 0)
    return fail_errno("link", folder.in(name), errno);
  return {};
}

Status remove_entry(FolderAt const& folder, std::string const& name) {
  durable_step("remove");
  if (::unlinkat(folder.fd.get(), name.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno("remove", folder.in(name), errno);
  return {};
}

}  // namespace homelab::cache
