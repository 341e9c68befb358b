// doctor, permissions: may everybody who shares a cache read and lock what the others wrote
// (hf-cache rules, §2.6, §10 "mixed users").
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <set>

#include "../table.h"
#include "base/os/file.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

constexpr std::size_t kMaxEntries = 200'000;
constexpr int kMaxDepth = 12;

/// How many of a kind, and one of them to show.
struct Sighting {
  std::size_t number = 0;
  std::string example;
  void add(std::string const& path) {
    if (number++ == 0) example = path;
  }
};

struct Sightings {
  std::set<uid_t> owners;
  Sighting unreadable_files;  ///< by the group
  Sighting closed_lists;      ///< trees/*.json of Python, 0600
  Sighting closed_locks;      ///< lock files that the group may not write
  Sighting plain_folders;     ///< without setgid
  Sighting foreign;           ///< of another user, not readable by us
  bool cut_short = false;
};

/// Looks at names and modes only; links are not followed.
class Walk {
 public:
  Walk(Machine const& machine, Sightings& seen) : machine_(machine), seen_(seen) {}

  void enter(cache::Path const& folder) { enter(AT_FDCWD, folder.string(), folder.string(), 0); }

 private:
  void enter(int parent, std::string const& name, std::string const& shown, int depth) {
    int const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth > 0 ? O_NOFOLLOW : 0);
    int const fd = ::openat(parent, name.c_str(), flags);
    if (fd < 0) return seen_.foreign.add(shown);
    DIR* const folder = ::fdopendir(fd);
    if (folder == nullptr) {
      ::close(fd);
      return;
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): every stream is read by one thread
    while (dirent const* entry = ::readdir(folder)) {
      std::string const child = entry->d_name;
      if (child == "." || child == "..") continue;
      if (++entries_ > kMaxEntries || machine_.stop()) {
        seen_.cut_short = true;
        break;
      }
      look(fd, child, shown + "/" + child, depth);
    }
    ::closedir(folder);
  }

  void look(int parent, std::string const& name, std::string const& shown, int depth) {
    struct stat found{};
    if (::fstatat(parent, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return;
    seen_.owners.insert(found.st_uid);
    if (S_ISDIR(found.st_mode)) {
      if ((found.st_mode & S_ISGID) == 0) seen_.plain_folders.add(shown);
      // Our own bookkeeping is nobody else's business.
      if (depth < kMaxDepth && name != ".homelab-llm") enter(parent, name, shown, depth + 1);
      return;
    }
    if (!S_ISREG(found.st_mode)) return;
    judge_file(name, shown, found);
  }

  void judge_file(std::string const& name, std::string const& shown, struct stat const& found) {
    if (found.st_uid != ::geteuid() && (found.st_mode & (S_IRGRP | S_IROTH)) == 0)
      seen_.foreign.add(shown);
    bool const lock = name.ends_with(".lock");
    if (lock && (found.st_mode & S_IWGRP) == 0) seen_.closed_locks.add(shown);
    if (lock || (found.st_mode & S_IRGRP) != 0) return;
    bool const list = shown.find("/trees/") != std::string::npos;
    (list ? seen_.closed_lists : seen_.unreadable_files).add(shown);
  }

  Machine const& machine_;
  Sightings& seen_;
  std::size_t entries_ = 0;
};

std::string such_as(Sighting const& sighting) {
  return fmt::format("{} (such as {})", sighting.number, sighting.example);
}

/// One user alone is not harmed by closed files; several are.
void judge(Place const& place, Sightings const& seen, Findings& out) {
  std::string const hub = shell_word(place.hub.path.string());
  bool const shared = seen.owners.size() > 1;
  Severity const severity = shared ? Severity::kWarning : Severity::kInfo;
  if (seen.foreign.number > 0)
    out.push_back({Severity::kWarning,
                   fmt::format("{}: files of other users that this user cannot read: {}",
                               place.name, such_as(seen.foreign)),
                   fmt::format("sudo chmod -R g+rwX,o+rX {}", hub)});
  if (seen.unreadable_files.number > 0)
    out.push_back({severity,
                   fmt::format("{}: files that the group cannot read: {}", place.name,
                               such_as(seen.unreadable_files)),
                   fmt::format("chmod -R g+rX {}", hub)});
  if (seen.closed_lists.number > 0)
    out.push_back({severity,
                   fmt::format("{}: listings that Python made for one user only, so others fetch "
                               "them again: {}",
                               place.name, such_as(seen.closed_lists)),
                   fmt::format("find {} -path '*/trees/*.json' -exec chmod g+r,o+r {{}} +", hub)});
  if (seen.closed_locks.number > 0)
    out.push_back({severity,
                   fmt::format("{}: lock files that the group cannot write: {}", place.name,
                               such_as(seen.closed_locks)),
                   fmt::format("find {}/.locks -name '*.lock' -exec chmod g+w {{}} +", hub)});
  if (shared && seen.plain_folders.number > 0)
    out.push_back({Severity::kWarning,
                   fmt::format("{}: {} users write here, but new files do not inherit the group "
                               "(setgid is missing): {}",
                               place.name, seen.owners.size(), such_as(seen.plain_folders)),
                   fmt::format("sudo find {} -type d -exec chmod g+s {{}} +", hub)});
}

/// umask(2) can only be asked by setting it, which other threads would notice; the kernel tells it
/// here, too. nullopt: no /proc.
std::optional<mode_t> current_umask() {
  constexpr std::size_t kMaxStatus = 64 * 1024;
  constexpr std::string_view kWord = "\nUmask:\t";
  auto const status = os::read_file("/proc/self/status", kMaxStatus);
  auto const at = status ? status->find(kWord) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  mode_t mask = 0;
  for (char const c : status->substr(at + kWord.size(), 4))
    if (c >= '0' && c <= '7') mask = mask * 8 + static_cast<mode_t>(c - '0');
  return mask;
}

}  // namespace

Findings check_permissions(Machine const& machine) {
  Findings out;
  bool any_shared = false;
  for (auto const& place : machine.places) {
    struct stat top{};
    if (::stat(place.hub.path.c_str(), &top) != 0 || !S_ISDIR(top.st_mode)) continue;
    Sightings seen;
    seen.owners.insert(top.st_uid);
    Walk(machine, seen).enter(place.hub.path);
    std::size_t const before = out.size();
    judge(place, seen, out);
    any_shared = any_shared || seen.owners.size() > 1;
    if (top.st_uid != ::geteuid() && ::geteuid() != 0)
      out.push_back(
          {Severity::kInfo, fmt::format("{}: {} belongs to another user (uid {})", place.name,
                                        place.hub.path.string(), top.st_uid)});
    if (::geteuid() == 0 && top.st_uid != 0)
      out.push_back(
          {Severity::kWarning,
           fmt::format("{}: this runs as root in a cache of uid {}: that user cannot "
                       "change what is made now",
                       place.name, top.st_uid),
           fmt::format("sudo chown -R {} {}", top.st_uid, shell_word(place.hub.path.string()))});
    if (seen.cut_short)
      out.push_back({Severity::kInfo, fmt::format("{}: only the first {} entries were looked at",
                                                  place.name, kMaxEntries)});
    if (out.size() == before)
      out.push_back({Severity::kOk, place.name + ": everybody who shares this cache can read it"});
  }
  if (any_shared && (current_umask().value_or(0) & S_IWGRP) != 0)
    out.push_back({Severity::kInfo,
                   "several users share a cache, but the umask keeps the group from writing new "
                   "files",
                   "umask 002"});
  return out;
}

}  // namespace homelab::cli::doctor
