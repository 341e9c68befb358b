#include "repo_locks.h"

#include <fmt/format.h>

#include "cache/removal.h"
#include "folder_at.h"
#include "walk_at.h"

namespace homelab::cache {

Result<std::vector<os::FileLock>> take_repo_locks(Path const& hub_folder,
                                                  std::string const& repo_folder_name) {
  std::vector<os::FileLock> locks;
  Path const folder = hub_folder / ".locks" / repo_folder_name;
  auto const opened = open_folder(folder);
  if (!opened && opened.error().code == Code::kNotFound) return locks;
  if (!opened) return fail(opened.error());
  ASSIGN_OR_RETURN(auto const names, names_in(*opened));
  for (std::string const& name : names) {
    if (!name.ends_with(".lock")) continue;
    ASSIGN_OR_RETURN(auto lock, os::FileLock::try_take(folder / name));
    if (!lock) {
      return fail(Code::kAborted,
                  fmt::format("{} is being downloaded right now by some program (it holds {}); "
                              "nothing was changed, try again when it has ended",
                              repo_folder_name, (folder / name).string()));
    }
    locks.push_back(*std::move(lock));
  }
  return locks;
}

Status check_idle(Path const& hub_folder, std::string const& repo_folder_name) {
  RETURN_IF_ERROR(take_repo_locks(hub_folder, repo_folder_name));
  return {};
}

}  // namespace homelab::cache
