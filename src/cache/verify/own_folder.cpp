#include "own_folder.h"

namespace homelab::cache {

Result<FolderAt> make_own_folder(os::Path const& hub_folder,
                                 std::initializer_list<std::string> below) {
  RETURN_IF_ERROR(os::make_folders(hub_folder / ".locks"));
  ASSIGN_OR_RETURN(FolderAt const locks, open_folder(hub_folder / ".locks"));
  ASSIGN_OR_RETURN(FolderAt here, make_sub(locks, ".homelab-llm"));
  for (auto const& name : below) {
    ASSIGN_OR_RETURN(here, make_sub(here, name));
  }
  return here;
}

}  // namespace homelab::cache
