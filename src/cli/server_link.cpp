#include "server_link.h"

#include <fmt/format.h>

#include <chrono>
#include <future>

#include "api_answer.h"
#include "base/strings.h"
#include "listener_probe.h"
#include "progress_printer.h"
#include "stop_signal.h"

namespace homelab::cli {
namespace {

constexpr std::chrono::milliseconds kPoll{250};

std::uint64_t bytes_of(json::object const& job, std::string_view key) {
  auto const value = get_int(job, key).value_or(0);
  return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

/// Shows the newest unfinished job of the model; an answer of another form shows nothing.
void show_job(ProgressPrinter& progress, json::value const& answer, std::string const& model) {
  auto const* object = answer.if_object();
  auto const* jobs = object == nullptr ? nullptr : get_array(*object, "jobs");
  if (jobs == nullptr) return;
  json::object const* newest = nullptr;
  for (auto const& entry : *jobs) {
    auto const* job = entry.if_object();
    if (job == nullptr || get_string(*job, "model") != model) continue;
    auto const state = get_string(*job, "state").value_or("");
    if (state != "downloading" && state != "starting") continue;
    if (newest == nullptr || bytes_of(*job, "id") >= bytes_of(*newest, "id")) newest = job;
  }
  if (newest == nullptr) return;
  bool const downloading = get_string(*newest, "state") == "downloading";
  ProgressState state;
  state.label = (downloading ? "Downloading " : "Starting the engine for ") + model;
  if (downloading) {
    state.total_bytes = bytes_of(*newest, "total_bytes");
    state.done_bytes = bytes_of(*newest, "done_bytes");
  }
  progress.show(std::move(state), bytes_of(*newest, "downloaded_bytes"));
}

}  // namespace

ServerLink::~ServerLink() {
  if (stop_) stop_();
}

Result<ServerLink> ServerLink::connect(Context const& context) {
  auto const& settings = context.settings;
  std::string const url = base_url_of(settings.host(), settings.port());
  auto const no_server = [&url] {
    return fail(Code::kUnavailable,
                fmt::format("no server at {}; start it with: homelab-llm serve", url));
  };
  // Without a server the HTTP client need not be loaded.
  if (certainly_nobody_listens(settings.host(), settings.port())) return no_server();
  auto api = std::make_unique<ApiClient>(url, context.hooks.version);
  if (!api->healthy()) return no_server();
  return ServerLink(std::move(api), {});
}

Result<ServerLink> ServerLink::connect_or_start(Context const& context) {
  auto running = connect(context);
  if (running) return running;
  ASSIGN_OR_RETURN(auto server, context.hooks.start_private(context.settings));
  return ServerLink(std::make_unique<ApiClient>(server.base_url, context.hooks.version),
                    std::move(server.stop));
}

std::string model_target(std::string_view name) { return "/api/models/" + percent_encode(name); }

Result<std::vector<ModelRow>> list_models(ApiClient const& api) {
  ASSIGN_OR_RETURN(auto answer, api.get("/api/models"));
  return rows_of(answer);
}

Result<std::set<std::string>> loaded_models(ApiClient const& api) {
  ASSIGN_OR_RETURN(auto const answer, api.get("/api/engines"));
  auto const* engines = answer.is_object() ? get_array(answer.get_object(), "engines") : nullptr;
  if (engines == nullptr)
    return fail(Code::kDataLoss,
                "the server's list of engines is none; nobody knows what is loaded");
  std::set<std::string> names;
  for (auto const& entry : *engines)
    if (entry.is_object()) names.insert(get_string(entry.get_object(), "model_name").value_or(""));
  return names;
}

Result<ModelRow> find_or_register(ApiClient const& api, Output const& out,
                                  std::string const& word) {
  ASSIGN_OR_RETURN(auto rows, list_models(api));
  ASSIGN_OR_RETURN(auto choice, choose_model(rows, word));
  if (auto* row = std::get_if<ModelRow>(&choice)) return std::move(*row);
  auto const& fresh = std::get<NewRegistration>(choice);
  ASSIGN_OR_RETURN(auto model, api.post("/api/models", json::object{{"model_name", fresh.name},
                                                                    {"hf_path", fresh.hf_path}}));
  ASSIGN_OR_RETURN(auto registered, rows_of(json::array{model}));
  out.remark(fmt::format("registered {} as '{}'", fresh.hf_path, registered.front().name));
  return std::move(registered.front());
}

Result<json::value> load_with_progress(ServerLink const& link, std::string const& name, bool force,
                                       bool beside) {
  StopSignal const stop;
  auto const& api = link.api();
  auto loading = std::async(std::launch::async, [&] {
    return api.post("/api/orchestrate/load",
                    json::object{{"model_name", name}, {"force_load", force}, {"beside", beside}},
                    StopSignal::raised);
  });
  ProgressPrinter progress(stderr_is_terminal());
  while (loading.wait_for(kPoll) != std::future_status::ready) {
    // Progress is a courtesy: when it cannot be had the load itself says what is wrong.
    if (auto const jobs = api.get("/api/jobs")) show_job(progress, *jobs, name);
  }
  auto answer = loading.get();
  if (!answer && answer.error().code == Code::kCancelled)
    return fail(Code::kCancelled,
                link.is_private() ? std::string("stopped; run again to continue")
                                  : fmt::format("stopped waiting; the server goes on loading '{}' "
                                                "(homelab-llm ps shows it)",
                                                name));
  return answer;
}

}  // namespace homelab::cli
