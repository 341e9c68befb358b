#include "walk_at.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "durable_step.h"

namespace homelab::cache {
namespace {

tl::unexpected<Error> too_deep(std::string const& shown) {
  return fail(Code::kFailedPrecondition, shown + " is nested too deeply");
}

bool is_folder_at(FolderAt const& folder, std::string const& name) {
  auto const found = look_at(folder, name);
  return found && S_ISDIR(found->st_mode);
}

Status walk(FolderAt const& here, std::string const& prefix, Visit const& visit, int depth) {
  if (depth > kMaxWalkDepth) return too_deep(here.shown);
  ASSIGN_OR_RETURN(auto const names, names_in(here));
  for (std::string const& name : names) {
    std::string const path = prefix.empty() ? name : prefix + "/" + name;
    if (is_folder_at(here, name)) {
      ASSIGN_OR_RETURN(FolderAt const inner, open_sub(here, name));
      RETURN_IF_ERROR(walk(inner, path, visit, depth + 1));
    } else {
      RETURN_IF_ERROR(visit(here, name, path));
    }
  }
  return {};
}

Status remove_at(FolderAt const& folder, std::string const& name, int depth) {
  if (depth > kMaxWalkDepth) return too_deep(folder.in(name));
  int flags = 0;
  if (is_folder_at(folder, name)) {
    flags = AT_REMOVEDIR;
    ASSIGN_OR_RETURN(FolderAt const inner, open_sub(folder, name));
    ASSIGN_OR_RETURN(auto const names, names_in(inner));
    for (std::string const& one : names) RETURN_IF_ERROR(remove_at(inner, one, depth + 1));
  }
  durable_step("remove");
  if (::unlinkat(folder.fd.get(), name.c_str(), flags) != 0 && errno != ENOENT)
    return fail_errno("remove", folder.in(name), errno);
  return {};
}

}  // namespace

SplitName split_name(std::string const& path) {
  auto const slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Result<FolderAt> open_below(FolderAt const& root, std::string const& folder) {
  ASSIGN_OR_RETURN(FolderAt here, open_sub(root, "."));
  here.shown = root.shown;
  for (auto const segment : split(folder, '/')) {
    if (segment.empty()) continue;
    ASSIGN_OR_RETURN(here, open_sub(here, std::string(segment)));
  }
  return here;
}

Result<FolderAt> make_folder_below(FolderAt const& root, std::string const& folder) {
  ASSIGN_OR_RETURN(FolderAt here, open_sub(root, "."));
  here.shown = root.shown;
  for (auto const segment : split(folder, '/')) {
    if (segment.empty()) continue;
    bool made = false;
    ASSIGN_OR_RETURN(FolderAt next, make_sub(here, std::string(segment), &made));
    if (made) RETURN_IF_ERROR(sync(here));
    here = std::move(next);
  }
  return here;
}

Status walk_below(FolderAt const& root, std::string const& folder, Visit const& visit) {
  auto const here = open_below(root, folder);
  if (!here && here.error().code == Code::kNotFound) return {};
  if (!here) return fail(here.error());
  return walk(*here, "", visit, 0);
}

Status remove_below(FolderAt const& folder, std::string const& name) {
  return remove_at(folder, name, 0);
}

Result<bool> is_bare(FolderAt const& root, std::string const& folder) {
  bool bare = true;
  RETURN_IF_ERROR(walk_below(
      root, folder, [&](FolderAt const&, std::string const&, std::string const&) -> Status {
        bare = false;
        return {};
      }));
  return bare;
}

}  // namespace homelab::cache
