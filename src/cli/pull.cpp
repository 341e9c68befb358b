// pull: a model's files into the cache, without a server.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/strings.h"
#include "care/room.h"
#include "commands.h"
#include "exit_code.h"
#include "http/client.h"
#include "hub/downloader.h"
#include "hub/hub_api.h"
#include "hub/plan.h"
#include "hub_access.h"
#include "locations.h"
#include "progress_printer.h"
#include "stop_signal.h"

namespace homelab::cli {
namespace {

/// Bytes of the plan that are not in the cache yet.
std::uint64_t missing_bytes(cache::RepoFolder const& repo,
                            std::vector<cache::TreeFile> const& files) {
  std::uint64_t missing = 0;
  for (auto const& file : files) {
    auto const name = file.blob_name();
    std::error_code absent;
    auto const size = name ? std::filesystem::file_size(repo.blob_path(*name), absent) : 0;
    if (!name || absent || size != file.size_bytes) missing += file.size_bytes;
  }
  return missing;
}

/// kResourceExhausted when the model does not fit into the location's quota or onto its disk,
/// before the first byte of it is asked for. What the Hub does not tell here (it is away, the model
/// is unknown) the download reports itself.
Status check_quota(hub::HubApi const& api, cache::Locations const& locations,
                   ChosenLocation const& chosen, hub::DownloadRequest const& request) {
  auto const& model = request.model;
  auto const commit = api.commit_of(model.repo, model.revision, request.cancelled);
  if (!commit) return {};
  auto const tree = api.tree(model.repo, *commit, request.cancelled);
  if (!tree) return {};
  auto const plan = hub::plan_files(*tree, model.variant);
  if (!plan && !request.everything) return {};
  cache::RepoFolder const repo(request.hub_folder, model.repo);
  std::uint64_t const missing = missing_bytes(repo, request.everything ? tree->files : plan->files);
  if (missing == 0) return {};
  auto const room = care::make_room_in(locations, chosen, missing);
  if (room) return {};
  return fail(Error(room.error())
                  .in(fmt::format("{} ({} to download)", model.repo.text(), human_bytes(missing))));
}

void report(Context const& context, cache::ModelReference const& model,
            hub::ReadySnapshot const& snapshot) {
  std::uint64_t const present =
      snapshot.total_bytes - std::min(snapshot.total_bytes, snapshot.downloaded_bytes);
  context.out.text(fmt::format("{}\ncommit {}, {} in all: {} downloaded, {} already there\n",
                               snapshot.model_path.string(), snapshot.commit.text(),
                               human_bytes(snapshot.total_bytes),
                               human_bytes(snapshot.downloaded_bytes), human_bytes(present)));
  context.out.value(
      json::object{{"repo", model.repo.text()},
                   {"revision", model.revision.text()},
                   {"commit", snapshot.commit.text()},
                   {"variant", snapshot.variant},
                   {"format", snapshot.format == hub::ModelFormat::kGguf ? "gguf" : "safetensors"},
                   {"folder", snapshot.folder.string()},
                   {"model_path", snapshot.model_path.string()},
                   {"total_bytes", snapshot.total_bytes},
                   {"downloaded_bytes", snapshot.downloaded_bytes}});
}

}  // namespace

Outcome execute(Context const& context, PullCommand const& command) {
  ASSIGN_OR_RETURN(auto const model, cache::ModelReference::parse(command.reference));
  auto const locations = locations_of(context.settings);
  ASSIGN_OR_RETURN(auto const chosen, choose_location(locations, command.location, command.path));

  StopSignal const stop;
  ProgressPrinter printer(stderr_is_terminal());
  auto const client =
      http::Client::create({.user_agent = fmt::format("homelab-llm/{}", context.hooks.version)});
  auto const options = hub_options(context.settings);

  hub::DownloadRequest request{chosen.resolved.hub.path,
                               locations.readable_hub_folders(chosen.resolved),
                               model,
                               true,
                               command.everything,
                               {},
                               {}};
  request.on_progress = [&](hub::Progress const& progress) {
    show_progress(printer, progress, model.repo.text());
  };
  request.cancelled = StopSignal::raised;
  show_progress(printer, {}, model.repo.text());
  RETURN_IF_ERROR(check_quota(hub::HubApi(*client, options), locations, chosen, request));
  auto const snapshot =
      hub::Downloader::create(*client, options, download_options_of(context.settings))
          ->ensure(std::move(request));
  printer.finish();
  if (!snapshot && StopSignal::raised())
    return fail(Code::kCancelled, "stopped; run again to continue");
  if (!snapshot) return fail(Error(snapshot.error()).in("pull " + command.reference));
  report(context, model, *snapshot);
  return kExitDone;
}

}  // namespace homelab::cli
