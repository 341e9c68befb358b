#include "hub_access.h"

namespace homelab::cli {
namespace {

std::string label_of(hub::Progress::Stage stage, std::string const& repo) {
  switch (stage) {
    case hub::Progress::Stage::kListing:
      return "Asking the Hub about " + repo;
    case hub::Progress::Stage::kWaitingForLock:
      return "Waiting for another download of " + repo;
    case hub::Progress::Stage::kVerifying:
      return "Verifying " + repo;
    case hub::Progress::Stage::kDownloading:
    case hub::Progress::Stage::kDone:
      break;
  }
  return "Downloading " + repo;
}

}  // namespace

void show_progress(ProgressPrinter& printer, hub::Progress const& progress,
                   std::string const& repo) {
  if (progress.stage == hub::Progress::Stage::kDone) return;  // the answer follows
  ProgressState state;
  state.label = label_of(progress.stage, repo);
  state.total_bytes = progress.total_bytes;
  state.done_bytes = progress.present_bytes + progress.downloaded_bytes;
  state.total_files = progress.total_files;
  state.finished_files = progress.finished_files;
  printer.show(std::move(state), progress.downloaded_bytes);
}

hub::HubOptions hub_options(config::Settings const& settings) {
  return {settings.hub_endpoint(), settings.hub_token().value_or(""), settings.offline()};
}

}  // namespace homelab::cli
