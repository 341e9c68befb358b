#include "hub_access.h"

#include "care/download.h"

namespace homelab::cli {

void show_progress(ProgressPrinter& printer, care::Progress const& progress) {
  ProgressState state;
  state.label = progress.what;
  state.total_bytes = progress.total_bytes;
  state.done_bytes = progress.done_bytes;
  state.total_files = progress.total_files;
  state.finished_files = progress.done_files;
  printer.show(std::move(state), progress.moved_bytes);
}

void show_progress(ProgressPrinter& printer, hub::Progress const& progress,
                   std::string const& repo) {
  if (progress.stage == hub::Progress::Stage::kDone) return;  // the answer follows
  show_progress(printer, care::progress_of(progress, repo));
}

hub::HubOptions hub_options(config::Settings const& settings) {
  return {settings.hub_endpoint(), settings.hub_token().value_or(""), settings.offline()};
}

}  // namespace homelab::cli
