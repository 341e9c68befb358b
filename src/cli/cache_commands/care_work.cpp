#include "care_work.h"

#include <fmt/format.h>

#include "../hub_access.h"
#include "../stop_signal.h"
#include "cli/settings_locations.h"
#include "http/client.h"
#include "needs.h"

namespace homelab::cli {

CareWork::CareWork(Context const& context)
    : context_(context),
      printer_(stderr_is_terminal()),
      work_{.locations = locations_of(context.settings),
            .trash_time = context.settings.trash_time()} {
  work_.models = [this] { return registered_models(context_); };
  work_.record_checks = [this](std::vector<care::UpdateCheck> const& checks) {
    return record_checks(context_, checks);
  };
  work_.relocate = [this](care::Relocation const& relocation, bool force) {
    return relocate_models(context_, relocation, force);
  };
  work_.stopped = StopSignal::raised;
  work_.on_progress = [this](care::Progress const& progress) { show_progress(printer_, progress); };
  work_.remark = [this](std::string const& words) {
    printer_.finish();
    context_.out.remark(words);
  };
}

CareWork::~CareWork() = default;

void CareWork::connect_hub() {
  client_ =
      http::Client::create({.user_agent = fmt::format("homelab-llm/{}", context_.hooks.version)});
  downloader_ = hub::Downloader::create(*client_, hub_options(context_.settings),
                                        download_options_of(context_.settings));
  hub_ = std::make_unique<care::HubAccess>(
      care::HubAccess{*client_, hub_options(context_.settings), *downloader_});
  work_.hub = hub_.get();
}

}  // namespace homelab::cli
