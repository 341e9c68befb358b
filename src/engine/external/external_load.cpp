// The load of a model whose row names an external engine.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "../load_job.h"
#include "../local_model.h"
#include "base/log.h"
#include "cache/names.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr double kMebibyte = 1024.0 * 1024.0;
constexpr int kPortTries = 3;
constexpr milliseconds kFirstPause{20};
constexpr milliseconds kLongestPause{250};
constexpr std::string_view kModelList = "/v1/models";

Result<std::string> key_of(ExternalEngine const& engine) {
  if (engine.api_key_variable.empty()) return std::string();
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program changes the environment
  char const* const key = std::getenv(engine.api_key_variable.c_str());
  if (key != nullptr && *key != '\0') return std::string(key);
  return fail(Code::kInvalidArgument,
              fmt::format("engine '{}': the variable {}, which should hold its key, is not set in "
                          "the environment of the server",
                          engine.name, engine.api_key_variable));
}

/// Waits for a command that was started. Whatever it writes, and every change of its memory, is a
/// sign of life.
class Readiness {
 public:
  Readiness(ExternalProcess& process, Remote const& remote, std::chrono::seconds silence,
            std::function<bool()> cancelled)
      : process_(process), remote_(remote), silence_(silence), cancelled_(std::move(cancelled)) {}

  /// kCancelled; kUnavailable when it ended, with its last messages; kDeadlineExceeded.
  Status wait() {
    milliseconds pause = kFirstPause;
    while (true) {
      if (auto const status = process_.wait(pause))
        return fail(Code::kUnavailable, process_.end_message(*status));
      if (cancelled_()) return fail(Code::kCancelled, "the load was cancelled");
      // No answer yet is normal.
      auto const health = fetch_remote(remote_, remote_.health, cancelled_);
      process_.log().drain();
      if (health && health->status == 200) return {};
      RETURN_IF_ERROR(check_alive());
      pause = std::min(pause * 2, kLongestPause);
    }
  }

 private:
  Status check_alive() {
    auto lines = process_.log().lines();
    auto const memory = group_memory(process_.pid()).total();
    auto const now = steady_clock::now();
    if (lines != lines_ || memory != memory_) last_sign_ = now;
    lines_ = std::move(lines);
    memory_ = memory;
    if (now - last_sign_ < silence_) return {};
    return fail(Code::kDeadlineExceeded,
                fmt::format("engine '{}' gave no sign of life for {} s and does not answer GET {}; "
                            "its last messages: {}",
                            remote_.engine, silence_.count(), remote_.health, reason_in(lines_)));
  }

  ExternalProcess& process_;
  Remote const& remote_;
  std::chrono::seconds const silence_;
  std::function<bool()> const cancelled_;
  std::vector<std::string> lines_;
  std::uint64_t memory_ = 0;
  steady_clock::time_point last_sign_ = steady_clock::now();
};

Result<int> port_for(ExternalEngine const& chosen) {
  if (chosen.port == 0) return free_port();
  if (!is_taken(chosen.port)) return chosen.port;
  return fail(
      Code::kUnavailable,
      fmt::format("engine '{}': port {} is taken by another program; leave \"port\" out and "
                  "write {{port}} in the command, then a free one is taken",
                  chosen.name, chosen.port));
}

}  // namespace

Result<LoadOutcome> LoadJob::attempt_external(std::optional<std::string> const& previous_status) {
  // What goes wrong with somebody else's engine says nothing about the model.
  config_refused_ = true;
  ASSIGN_OR_RETURN(auto const chosen, choose_engine(options_.external, *start_.config.engine));
  bool const command = !chosen.command.empty();
  Files files;
  if (command && (chosen.download || is_local_path(start_.model.hf_path))) {
    ASSIGN_OR_RETURN(files, find_files());
  }
  jobs_.set_state(start_.job_id, "starting");
  ASSIGN_OR_RETURN(auto engine, command ? start_command(chosen, files) : reach_server(chosen));
  registry::LoadFacts learned;
  if (files.total_bytes > 0)
    learned.model_size_mb = static_cast<double>(files.total_bytes) / kMebibyte;
  if (!files.commit.empty()) learned.commit = files.commit;
  if (!files.version.empty()) learned.version = files.version;
  ASSIGN_OR_RETURN(auto model,
                   dependencies_.registry.finish_load(start_.model.id, learned, previous_status));
  return LoadOutcome{std::move(model), std::move(engine)};
}

std::shared_ptr<LoadedEngine> LoadJob::external_engine(ExternalEngine const& chosen,
                                                       Remote remote) const {
  auto engine = std::make_shared<LoadedEngine>();
  engine->info.id = start_.model.id;
  engine->info.name = start_.model.model_name;
  engine->info.hf_path = start_.model.hf_path;
  engine->info.device = "external";
  engine->info.dtype = "unknown";
  engine->info.engine = chosen.name;
  engine->version = chosen.name;
  engine->info.url = remote.url;
  engine->info.since = utc_now();
  engine->busy_threads = chosen.threads;
  engine->memory_key =
      fmt::format("external {} {} {}", chosen.name, remote.url, start_.model.hf_path);
  engine->remote = std::make_shared<Remote const>(std::move(remote));
  return engine;
}

Result<std::shared_ptr<LoadedEngine>> LoadJob::reach_server(ExternalEngine const& chosen) {
  ASSIGN_OR_RETURN(auto key, key_of(chosen));
  Remote remote{*start_.outside, chosen.url, {}, chosen.health, std::move(key), chosen.name};
  auto const likely = {start_.model.hf_path, start_.model.model_name};
  ASSIGN_OR_RETURN(remote.model, find_remote_model(remote, chosen.model, likely, cancelled()));
  if (remote.health.empty()) {
    // The list can be long; most servers have something shorter to ask for.
    auto const health = fetch_remote(remote, "/health", cancelled());
    remote.health = health && health->status == 200 ? "/health" : kModelList;
  } else {
    ASSIGN_OR_RETURN(auto const health, fetch_remote(remote, remote.health, cancelled()));
    if (health.status != 200)
      return fail(Code::kUnavailable, fmt::format("{} answers GET {} with status {}", remote.url,
                                                  remote.health, health.status));
  }
  ASSIGN_OR_RETURN(auto const leaving, start_.make_room(0));
  for (auto const& engine : leaving) stop_process(*engine, options_.stop_grace);
  auto engine = external_engine(chosen, std::move(remote));
  ASSIGN_OR_RETURN(engine->process, RemoteServer::create(file_named(start_.number, ".log")));
  return engine;
}

Result<Words> LoadJob::words_of(ExternalEngine const& chosen, Files const& files) const {
  Words words{{"name", start_.model.model_name},
              {"model", start_.model.hf_path},
              {"host", "127.0.0.1"},
              {"threads",
               std::to_string(chosen.threads > 0 ? chosen.threads : threads_for(options_.threads))},
              {"context", std::to_string(start_.config.context_tokens.value_or(
                              context_tokens_for(options_.context_tokens, std::nullopt)))}};
  if (!is_local_path(start_.model.hf_path)) {
    ASSIGN_OR_RETURN(auto const reference, cache::ModelReference::parse(start_.model.hf_path));
    words["model"] = reference.repo.text();
    words["revision"] = files.commit.empty() ? reference.revision.text() : files.commit;
  }
  bool const one_file = files.model_path.extension() == ".gguf";
  if (one_file) words["file"] = files.model_path.string();
  if (!files.folder.empty()) {
    words["snapshot"] = files.folder.string();
  } else if (!files.model_path.empty()) {
    words["snapshot"] = (one_file ? files.model_path.parent_path() : files.model_path).string();
  }
  return words;
}

Result<std::vector<std::pair<std::string, std::string>>> LoadJob::hub_variables(
    Files const& files) const {
  auto const kind = cache::parse_location_kind(start_.model.cache_location);
  if (!kind)
    return fail(Code::kInvalidArgument,
                fmt::format("cache location '{}' is none of primary, secondary, custom",
                            start_.model.cache_location));
  auto const resolved = dependencies_.locations.resolve(*kind, start_.model.cache_path);
  // hub/models--org--name/snapshots/commit: the files may be in another location than the row's.
  auto const hub = files.folder.empty() ? resolved.hub.path
                                        : files.folder.parent_path().parent_path().parent_path();
  std::vector<std::pair<std::string, std::string>> out = {{"HF_HOME", resolved.root.string()},
                                                          {"HF_HUB_CACHE", hub.string()}};
  out.insert(out.end(), options_.hub_environment.begin(), options_.hub_environment.end());
  return out;
}

Result<std::shared_ptr<LoadedEngine>> LoadJob::start_command(ExternalEngine const& chosen,
                                                             Files const& files) {
  ASSIGN_OR_RETURN(auto const program, find_program(chosen.command.at(0)));
  ASSIGN_OR_RETURN(auto key, key_of(chosen));
  ASSIGN_OR_RETURN(auto words, words_of(chosen, files));
  ASSIGN_OR_RETURN(auto const variables, hub_variables(files));
  EngineShape const shape{
      fmt::format("external {} {}", chosen.name, start_.model.hf_path), 0, -1, {}};
  RETURN_IF_ERROR(make_room(shape, {.predicted = chosen.memory_bytes}));
  for (int tries = 1;; ++tries) {
    ASSIGN_OR_RETURN(int const port, port_for(chosen));
    words["port"] = std::to_string(port);
    ASSIGN_OR_RETURN(auto command, fill_in_command(chosen, words));
    ChildGroup::Start start{program, std::move(command.arguments), variables, {}};
    // What the file says wins.
    for (auto& [name, value] : command.environment) {
      std::erase_if(start.environment, [&](auto const& other) { return other.first == name; });
      start.environment.emplace_back(name, value);
    }
    ASSIGN_OR_RETURN(auto process,
                     ExternalProcess::start(fmt::format("engine '{}'", chosen.name),
                                            std::move(start), file_named(start_.number, ".log")));
    start_.logs->put(start_.model.model_name, process->log().file());
    Remote remote{*start_.outside,
                  fmt::format("http://127.0.0.1:{}", port),
                  {},
                  chosen.health.empty() ? "/health" : chosen.health,
                  key,
                  chosen.name};
    auto const ready = Readiness(*process, remote, chosen.silence, cancelled()).wait();
    // Another program may have taken the port between our look at it and the command's.
    if (!ready && process->ended() && chosen.port == 0 && tries < kPortTries && is_taken(port))
      continue;
    if (!ready) return fail(ready.error());
    auto const likely = {words["model"], start_.model.model_name, start_.model.hf_path};
    ASSIGN_OR_RETURN(remote.model, find_remote_model(remote, command.model, likely, cancelled()));
    auto engine = external_engine(chosen, std::move(remote));
    engine->info.pid = process->pid();
    engine->info.model_path = files.model_path;
    engine->info.commit = files.commit;
    if (!files.variant.empty()) engine->quantization = files.variant;
    engine->memory_key = shape.key();
    engine->process = std::move(process);
    return engine;
  }
}

}  // namespace homelab::engine
