#pragma once
// Which repository folders a command's words mean.
#include "care/work.h"

namespace homelab::cli {

using care::chosen_repo_folders;

}  // namespace homelab::cli
