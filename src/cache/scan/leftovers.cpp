#include "leftovers.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace homelab::cache::scan {
namespace {

constexpr std::size_t kSuffixDigits = 8;

bool is_hex(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
}

/// "abc.0123abcd" -> "abc": what the Python client puts between a name and its ending.
std::string_view without_random_part(std::string_view name) {
  auto const dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return name;
  std::string_view const last = name.substr(dot + 1);
  return last.size() == kSuffixDigits && is_hex(last) ? name.substr(0, dot) : name;
}

enum class Held { kFree, kTaken, kAbsent };

/// Asks for a shared lock on an existing regular file; `file` keeps it when it was free.
Held ask(int folder, char const* name, os::UniqueFd& file) {
  struct stat found{};
  // A planted pipe or device is never opened.
  if (!look_at(folder, name, found) || !S_ISREG(found.st_mode)) return Held::kAbsent;
  file = os::UniqueFd(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return Held::kAbsent;
  int locked = 0;
  do {
    locked = ::flock(file.get(), LOCK_SH | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  return locked != 0 && errno == EWOULDBLOCK ? Held::kTaken : Held::kFree;
}

Held ask_etag_lock(Findings const& findings, std::string_view blob, os::UniqueFd& file) {
  // The owner of the cache may have put .locks on another drive by a link; inside it none follow.
  os::UniqueFd const locks(
      ::openat(findings.hub.folder.get(), ".locks", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!locks) return Held::kAbsent;
  os::UniqueFd const mine = open_folder_at(locks.get(), findings.folder_name.c_str());
  if (!mine) return Held::kAbsent;
  return ask(mine.get(), (std::string(blob) + ".lock").c_str(), file);
}

}  // namespace

std::optional<LeftoverName> leftover_in_blobs(std::string_view name) {
  constexpr std::string_view kOwn = ".homelab.";
  if (name.ends_with(".part")) {
    if (auto const at = name.find(kOwn); at != std::string_view::npos && at > 0)
      return LeftoverName{Leftover::Kind::kOwnPartial, name.substr(0, at)};
  }
  for (std::string_view const ending : {".incomplete", ".downloadInProgress"}) {
    if (!name.ends_with(ending)) continue;
    name.remove_suffix(ending.size());
    return LeftoverName{Leftover::Kind::kForeignPartial, without_random_part(name)};
  }
  bool const is_new_link =
      name.starts_with('.') && (name.ends_with(".shared") || name.ends_with(".link"));
  if (is_new_link || name.starts_with("tmp_")) return LeftoverName{Leftover::Kind::kTemporary, {}};
  return std::nullopt;
}

bool is_temporary_ref(std::string_view name) {
  return name.ends_with(".tmp") || name.ends_with(".homelab.part");
}

bool is_temporary_tree(std::string_view name) {
  return name.starts_with("tmp") || name.ends_with(".tmp") || name.ends_with(".homelab.part");
}

bool is_live(Findings const& findings, int blobs, char const* file_name, LeftoverName const& name) {
  os::UniqueFd etag_lock;
  if (!name.blob.empty() && ask_etag_lock(findings, name.blob, etag_lock) == Held::kTaken)
    return true;
  if (name.kind != Leftover::Kind::kOwnPartial) return false;
  // While the etag lock is kept here, no download of this program can be just about to lock its
  // partial and be turned away by this question.
  os::UniqueFd partial;
  return ask(blobs, file_name, partial) == Held::kTaken;
}

}  // namespace homelab::cache::scan
