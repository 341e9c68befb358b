#include "link_placer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "base/hash.h"
#include "durable_step.h"

namespace homelab::cache {
namespace {

std::optional<struct stat> look(FolderAt const& folder, std::string const& name, int flags) {
  struct stat found{};
  if (::fstatat(folder.fd.get(), name.c_str(), &found, flags) != 0) return std::nullopt;
  return found;
}

bool is_same(struct stat const& a, struct stat const& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

bool means_unsupported(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
}

std::string target_text(LinkPlace const& place) {
  std::string text = "../../";
  for (int i = 0; i < place.depth; ++i) text += "../";
  return text + "blobs/" + place.blob;
}

enum class Standing { kNothing, kRight, kWrong };

/// What stands at the entry's name; an error for what must not be replaced.
Result<Standing> what_stands(LinkPlace const& place, std::optional<struct stat> const& blob) {
  auto const entry = look(place.folder, place.name, AT_SYMLINK_NOFOLLOW);
  if (!entry) return Standing::kNothing;
  if (S_ISDIR(entry->st_mode)) {
    return fail(Code::kFailedPrecondition,
                place.folder.in(place.name) + " is a folder where a file is expected; remove it");
  }
  auto const shown = look(place.folder, place.name, 0);
  if (!shown || !S_ISREG(shown->st_mode)) return Standing::kWrong;
  if (blob && is_same(*shown, *blob)) return Standing::kRight;
  // A plain file: put there by hand, or by a client that had no links. Its length is all that can
  // be compared cheaply.
  if (S_ISREG(entry->st_mode) && (!blob || entry->st_size == blob->st_size))
    return Standing::kRight;
  return Standing::kWrong;
}

/// A link or plain file is prepared in blobs/ and renamed: nothing temporary ever appears inside a
/// snapshot.
std::string scratch_name(LinkPlace const& place) {
  return fmt::format(".{}.homelab.{}.link", place.blob, random_hex(4));
}

Status move_in(LinkPlace const& place, std::string const& scratch) {
  auto moved = rename_at(place.blobs, scratch, place.folder, place.name);
  if (!moved) ::unlinkat(place.blobs.fd.get(), scratch.c_str(), 0);
  return moved;
}

/// 0, or the errno of symlinkat.
int make_symlink(LinkPlace const& place, FolderAt const& where, std::string const& name) {
  durable_step("link");
  return ::symlinkat(target_text(place).c_str(), where.fd.get(), name.c_str()) == 0 ? 0 : errno;
}

Status copy_blob(LinkPlace const& place, std::string const& scratch) {
  ASSIGN_OR_RETURN(os::UniqueFd const from,
                   os::open_at(place.blobs.fd.get(), place.blob, O_RDONLY));
  ASSIGN_OR_RETURN(os::UniqueFd const to,
                   os::open_at(place.blobs.fd.get(), scratch, O_WRONLY | O_CREAT | O_EXCL));
  std::vector<std::byte> buffer(1024UL * 1024);
  for (std::uint64_t at = 0;;) {
    ssize_t const got = ::pread(from.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", place.blobs.in(place.blob), errno);
    if (got == 0) break;
    auto const bytes = std::span(buffer).first(static_cast<std::size_t>(got));
    RETURN_IF_ERROR(os::write_all_at(to.get(), bytes, at));
    at += bytes.size();
  }
  return os::sync_data(to.get());
}

Status place_plain(LinkPlace const& place, bool try_hard_link) {
  std::string const scratch = scratch_name(place);
  int const blobs = place.blobs.fd.get();
  durable_step("link");
  if (try_hard_link) {
    if (::linkat(blobs, place.blob.c_str(), blobs, scratch.c_str(), AT_SYMLINK_FOLLOW) == 0)
      return move_in(place, scratch);
    if (!means_unsupported(errno) && errno != EXDEV)
      return fail_errno("link", place.folder.in(place.name), errno);
  }
  if (place.last_use) return move_in(place, place.blob);
  if (auto copied = copy_blob(place, scratch); !copied) {
    ::unlinkat(blobs, scratch.c_str(), 0);
    return copied;
  }
  return move_in(place, scratch);
}

Result<bool> done(Status const& status) {
  if (!status) return fail(status.error());
  return true;
}

/// One try; false when another writer made the entry meanwhile, so that it must be judged anew.
Result<bool> try_place(LinkPlace const& place, LinkMode mode) {
  auto const blob = look(place.blobs, place.blob, 0);
  ASSIGN_OR_RETURN(Standing const standing, what_stands(place, blob));
  if (standing == Standing::kRight) return true;
  if (!blob || !S_ISREG(blob->st_mode)) {
    return fail(Code::kFailedPrecondition,
                fmt::format("{} is missing; it must be committed before {} is linked",
                            place.blobs.in(place.blob), place.folder.in(place.name)));
  }
  if (mode != LinkMode::kSymlink) return done(place_plain(place, mode == LinkMode::kHardLink));
  bool const replace = standing == Standing::kWrong;
  std::string const name = replace ? scratch_name(place) : place.name;
  int const error = make_symlink(place, replace ? place.blobs : place.folder, name);
  if (error == 0) return done(replace ? move_in(place, name) : Status());
  if (means_unsupported(error)) return done(place_plain(place, true));
  if (error == EEXIST) return false;
  return fail_errno("link", place.folder.in(place.name), error);
}

}  // namespace

Status place_link(LinkPlace const& place, LinkMode mode) {
  constexpr int kTries = 10;
  for (int i = 0; i < kTries; ++i) {
    ASSIGN_OR_RETURN(bool const placed, try_place(place, mode));
    if (placed) return {};
  }
  return fail(Code::kAborted, place.folder.in(place.name) + " is being changed by another program");
}

}  // namespace homelab::cache
