#include "load_job.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/os/process.h"
#include "cache/names.h"
#include "engine_process.h"
#include "local_model.h"
#include "registry/compatibility.h"

namespace homelab::engine {
namespace {

constexpr double kMebibyte = 1024.0 * 1024.0;

/// A failed attempt must not look like a bad request ("no such model", "not allowed now").
Error as_attempt_error(Error error, std::string const& model) {
  if (error.code == Code::kNotFound || error.code == Code::kFailedPrecondition ||
      error.code == Code::kInvalidArgument)
    error.code = Code::kInternal;
  return std::move(error).in("load " + model);
}

}  // namespace

std::function<bool()> LoadJob::cancelled() const {
  return [this] { return cancelled_.load(); };
}

cache::Path LoadJob::file_named(std::uint64_t number, std::string_view suffix) const {
  return options_.runtime_folder / fmt::format("{}-{}{}", ::getpid(), number, suffix);
}

LoadOutcome LoadJob::run() {
  auto const previous_status = dependencies_.registry.begin_load(start_.model.id);
  if (!previous_status)
    return {fail(Error(previous_status.error()).in("load " + start_.model.model_name)), nullptr};
  if (start_.previous) stop_process(*start_.previous, options_.stop_grace);
  auto outcome = attempt(*previous_status);
  if (outcome) return std::move(*outcome);
  record_failure(outcome.error(), *previous_status);
  return {fail(as_attempt_error(std::move(outcome).error(), start_.model.model_name)), nullptr,
          engine_failed_};
}

Result<std::uint64_t> LoadJob::make_room(EngineShape const& shape, Prediction prediction) {
  auto const needed = memory_.needed_bytes(shape, prediction);
  ASSIGN_OR_RETURN(auto const leaving, start_.make_room(start_.any_size ? 0 : needed));
  for (auto const& engine : leaving) ask_to_stop(*engine);
  for (auto const& engine : leaving) stop_process(*engine, options_.stop_grace);
  return needed;
}

Result<LoadOutcome> LoadJob::attempt(std::optional<std::string> const& previous_status) {
  if (start_.config.engine) return attempt_external(previous_status);
  ASSIGN_OR_RETURN(Files const files, find_files());
  jobs_.set_state(start_.job_id, "starting");
  ASSIGN_OR_RETURN(ModelFacts const facts, look_at(files));
  ASSIGN_OR_RETURN(auto engine, start_engine(files, facts));
  registry::LoadFacts learned;
  learned.model_size_mb = static_cast<double>(files.total_bytes) / kMebibyte;
  learned.parameter_count = facts.parameter_count;
  learned.model_type = facts.model_type;
  learned.architecture = facts.architecture;
  learned.default_dtype = facts.default_dtype;
  learned.context_length = facts.context_length;
  if (!files.commit.empty()) learned.commit = files.commit;
  if (!files.version.empty()) learned.version = files.version;
  ASSIGN_OR_RETURN(auto model,
                   dependencies_.registry.finish_load(start_.model.id, learned, previous_status));
  return LoadOutcome{std::move(model), std::move(engine)};
}

Result<LoadJob::Files> LoadJob::find_files() {
  if (!is_local_path(start_.model.hf_path)) return find_in_cache();
  ASSIGN_OR_RETURN(LocalModel const local, find_local_model(start_.model.hf_path));
  return Files{local.model_path, local.total_bytes, {}, {}, {}, {}};
}

Result<LoadJob::Files> LoadJob::find_in_cache() {
  ASSIGN_OR_RETURN(auto reference, cache::ModelReference::parse(start_.model.hf_path));
  auto const kind = cache::parse_location_kind(start_.model.cache_location);
  if (!kind) {
    return fail(Code::kInvalidArgument,
                fmt::format("cache location '{}' is none of primary, secondary, custom",
                            start_.model.cache_location));
  }
  auto const resolved = dependencies_.locations.resolve(*kind, start_.model.cache_path);
  std::string const version = reference.revision.text();
  hub::DownloadRequest request{
      .hub_folder = resolved.hub.path,
      .also_look_in = dependencies_.locations.readable_hub_folders(resolved),
      .model = std::move(reference),
      .on_progress = {},
      .cancelled = cancelled()};
  request.on_progress = [this](hub::Progress const& progress) {
    if (progress.stage != hub::Progress::Stage::kDone)
      jobs_.set_state(start_.job_id, "downloading");
    jobs_.set_progress(start_.job_id, progress, JobList::Clock::now());
  };
  ASSIGN_OR_RETURN(auto const ready, dependencies_.downloader.ensure(std::move(request)));
  return Files{ready.model_path, ready.total_bytes, ready.commit.text(),
               version,          ready.variant,     ready.folder};
}

Result<ModelFacts> LoadJob::look_at(Files const& files) {
  auto description =
      describe_model(options_.program, files.model_path, file_named(start_.number, ".describe"),
                     cancelled(), options_.sandbox);
  engine_crashed_ = description.crashed;
  engine_failed_ = description.crashed;
  return std::move(description.facts);
}

Result<std::string> LoadJob::device(int gpu_layers) {
  if (gpu_layers == 0) return std::string("cpu");
  auto& known = *start_.device;
  if (!known) {
    ASSIGN_OR_RETURN(
        known, find_device(options_.program, file_named(start_.number, ".describe"), cancelled()));
  }
  return *known;
}

Status LoadJob::check_config(Files const& files, ModelFacts const& facts) {
  auto checked = check_dtype(start_.config.dtype, facts.default_dtype.value_or("unknown"));
  if (checked && !start_.config.quantised.empty() && files.model_path.extension() == ".gguf")
    checked = fail(Code::kUnimplemented,
                   "load_config: a GGUF has its types and is loaded as it is; register another "
                   "quantisation of the model instead");
  config_refused_ = !checked;
  return checked;
}

EngineStart LoadJob::engine_start(Files const& files, ModelFacts const& facts) const {
  auto const& config = start_.config;
  EngineStart start;
  start.program = options_.program;
  start.model_path = files.model_path;
  start.alias = start_.model.model_name;
  start.context_tokens = config.context_tokens.value_or(
      context_tokens_for(options_.context_tokens, facts.context_length));
  start.slots = std::max(1U, config.slots.value_or(options_.slots));
  start.threads = threads_for(options_.threads);
  start.gpu_layers = config.gpu_layers.value_or(options_.gpu_layers);
  start.purpose = facts.purpose;
  start.quantised = config.quantised;
  start.flash_attention = config.flash_attention;
  start.sandbox = options_.sandbox;
  start.socket = file_named(start_.number, ".sock");
  start.log_file = file_named(start_.number, ".log");
  return start;
}

Result<std::shared_ptr<LoadedEngine>> LoadJob::start_engine(Files const& files,
                                                            ModelFacts const& facts) {
  RETURN_IF_ERROR(check_config(files, facts));
  auto const start = engine_start(files, facts);
  ASSIGN_OR_RETURN(std::string const device_name, device(start.gpu_layers));
  EngineShape const shape{start.model_path.string(),
                          std::uint64_t{start.context_tokens} * start.slots, start.gpu_layers,
                          start.quantised};
  std::uint64_t weight_bytes = facts.weight_bytes > 0 ? facts.weight_bytes : files.total_bytes;
  if (!start.quantised.empty() && facts.parameter_count)
    weight_bytes =
        quantised_bytes(static_cast<std::uint64_t>(*facts.parameter_count), start.quantised);
  // On a GPU the engine itself decides how many layers fit.
  Prediction prediction;
  if (device_name == "cpu")
    prediction = predict(facts, weight_bytes, expected_tokens(start.context_tokens, start.slots));
  ASSIGN_OR_RETURN(auto const needed_bytes, make_room(shape, prediction));
  ASSIGN_OR_RETURN(auto process, EngineProcess::start(start));
  start_.logs->put(start_.model.model_name, process->log().file());
  auto const healthy =
      process->wait_until_healthy(dependencies_.loops, options_.health_timeout, cancelled());
  if (!healthy) {
    auto const ended = process->ended();
    engine_crashed_ = ended && ended->signal != 0;
    engine_failed_ = healthy.error().code != Code::kCancelled;
    return fail(healthy.error());
  }
  auto engine = std::make_shared<LoadedEngine>();
  engine->info.id = start_.model.id;
  engine->info.name = start_.model.model_name;
  engine->info.hf_path = start_.model.hf_path;
  engine->info.device = device_name;
  engine->info.dtype =
      start.quantised.empty() ? facts.default_dtype.value_or("unknown") : start.quantised;
  engine->info.pid = process->pid();
  engine->info.sandbox = process->log().sandbox();
  engine->info.model_path = files.model_path;
  engine->info.commit = files.commit;
  engine->info.since = utc_now();
  engine->version = facts.engine_version;
  if (!files.variant.empty()) engine->quantization = files.variant;
  engine->busy_threads = device_name == "cpu" ? start.threads : 0;
  engine->weight_bytes = weight_bytes;
  engine->expected_bytes = needed_bytes;
  engine->memory_key = shape.key();
  engine->socket = process->socket();
  engine->process = std::move(process);
  return engine;
}

void LoadJob::record_failure(Error const& error,
                             std::optional<std::string> const& previous_status) {
  Error judged = error;
  if (config_refused_) judged.code = Code::kCancelled;  // says nothing about the model
  auto const verdict =
      registry::verdict_after_failure(judged, engine_crashed_, start_.model, previous_status);
  auto const written =
      dependencies_.registry.fail_load(start_.model.id, verdict.status, verdict.notes);
  if (!written) logger("engine")->error("{}: {}", start_.model.model_name, written.error().message);
}

}  // namespace homelab::engine
