#pragma once
// How a download shows in the progress of the work.
#include <string>

#include "care/work.h"

namespace homelab::care {

[[nodiscard]] Progress progress_of(hub::Progress const& download, std::string const& repo);
/// Tells the work; nothing for the last report, the answer follows.
void show_download(Work const& work, hub::Progress const& download, std::string const& repo);

}  // namespace homelab::care
