#pragma once
// What the commands that talk to the Hub share.
#include "care/work.h"
#include "config/settings.h"
#include "hub/downloader.h"
#include "hub/hub_api.h"
#include "progress_printer.h"

namespace homelab::cli {

[[nodiscard]] hub::HubOptions hub_options(config::Settings const& settings);

void show_progress(ProgressPrinter& printer, care::Progress const& progress);
/// Shows a download of `repo`; nothing for the last report, the answer follows.
void show_progress(ProgressPrinter& printer, hub::Progress const& progress,
                   std::string const& repo);

}  // namespace homelab::cli
