#include "api/metrics.h"

#include <array>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "exposition.h"

namespace homelab::api {
namespace {

constexpr std::size_t kMaxModels = 100;
constexpr double kMsPerSecond = 1000;
constexpr std::array kLongTimes{0.01, 0.025, 0.05, 0.1,  0.25,  0.5,   1.0,  2.5,
                                5.0,  10.0,  25.0, 50.0, 100.0, 250.0, 500.0};
constexpr std::array kGapTimes{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5};
constexpr std::array kAnswerTimes{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                  0.1,    0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
constexpr std::array<std::string_view, 7> kMethods = {"GET",    "HEAD",  "POST",   "PUT",
                                                      "DELETE", "PATCH", "OPTIONS"};

struct ModelCounts {
  std::map<std::pair<std::string, std::string>, std::uint64_t> runs;  ///< by endpoint and outcome
  std::uint64_t input_tokens = 0, output_tokens = 0, cached_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  Histogram ttft{kLongTimes}, gap{kGapTimes}, queue{kLongTimes}, duration{kLongTimes};
};

/// A method is the client's word: any other would be a series of its own.
std::string known_method(std::string_view method) {
  for (auto const known : kMethods)
    if (known == method) return std::string(method);
  return "other";
}

std::string outcome_of(registry::PerformanceRow const& row) {
  if (!row.error_occurred) return "ok";
  return row.error_code == "cancelled" ? "cancelled" : "error";
}

void add_ms(Histogram& histogram, std::optional<double> ms) {
  if (ms) histogram.add(*ms / kMsPerSecond);
}

}  // namespace

struct Metrics::State {
  mutable std::mutex mutex;  ///< guards the rest
  std::map<std::string, ModelCounts> models;
  std::map<std::tuple<std::string, std::string, int>, std::uint64_t> answers;
  std::map<std::string, Histogram> answer_times;  ///< by route
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::run_ended(std::string const& model, registry::PerformanceRow const& row) {
  std::lock_guard const lock(state_->mutex);
  bool const room = state_->models.size() < kMaxModels || state_->models.contains(model);
  auto& counts = state_->models[room ? model : "other"];
  ++counts.runs[{row.endpoint.value_or(""), outcome_of(row)}];
  counts.input_tokens += static_cast<std::uint64_t>(row.input_tokens);
  counts.output_tokens += static_cast<std::uint64_t>(row.output_tokens);
  counts.cached_tokens += static_cast<std::uint64_t>(row.cached_tokens.value_or(0));
  counts.prefill_seconds += row.prefill_ms.value_or(0) / kMsPerSecond;
  counts.decode_seconds += row.decode_ms.value_or(0) / kMsPerSecond;
  add_ms(counts.queue, row.queue_wait_ms);
  if (row.error_occurred) return;
  add_ms(counts.ttft, row.time_to_first_token_ms);
  add_ms(counts.gap, row.inter_token_mean_ms);
  add_ms(counts.duration, row.total_inference_ms);
}

void Metrics::answered(std::string_view method, std::string_view route, int status,
                       std::chrono::steady_clock::duration took) {
  std::string const pattern = route.empty() ? "unmatched" : std::string(route);
  std::lock_guard const lock(state_->mutex);
  ++state_->answers[{known_method(method), pattern, status}];
  auto& times = state_->answer_times.try_emplace(pattern, std::span<double const>(kAnswerTimes))
                    .first->second;
  times.add(std::chrono::duration<double>(took).count());
}

void Metrics::write(Exposition& out) const {
  std::lock_guard const lock(state_->mutex);
  auto const& models = state_->models;
  out.metric("homelab_llm_runs_total", "counter", "Runs that ended, by outcome.");
  for (auto const& [model, counts] : models)
    for (auto const& [kind, count] : counts.runs)
      out.sample({{"model", model}, {"endpoint", kind.first}, {"outcome", kind.second}},
                 static_cast<double>(count));
  auto const each = [&](std::string_view name, std::string_view help, auto member) {
    out.metric(name, "counter", help);
    for (auto const& [model, counts] : models)
      out.sample({{"model", model}}, static_cast<double>(counts.*member));
  };
  each("homelab_llm_prompt_tokens_total", "Tokens of prompts, cached ones too.",
       &ModelCounts::input_tokens);
  each("homelab_llm_prompt_cached_tokens_total", "Tokens of prompts that were not computed again.",
       &ModelCounts::cached_tokens);
  each("homelab_llm_generated_tokens_total", "Generated tokens.", &ModelCounts::output_tokens);
  each("homelab_llm_prefill_seconds_total", "Time that engines read prompts.",
       &ModelCounts::prefill_seconds);
  each("homelab_llm_decode_seconds_total", "Time that engines generated.",
       &ModelCounts::decode_seconds);
  auto const histograms = [&](std::string_view name, std::string_view help, auto member) {
    out.metric(name, "histogram", help);
    for (auto const& [model, counts] : models) out.histogram({{"model", model}}, counts.*member);
  };
  histograms("homelab_llm_time_to_first_token_seconds",
             "From the begin on the engine to the first token, of streamed runs.",
             &ModelCounts::ttft);
  histograms("homelab_llm_inter_token_seconds", "Mean time between the tokens of a run.",
             &ModelCounts::gap);
  histograms("homelab_llm_queue_wait_seconds", "Wait for the model and for its turn.",
             &ModelCounts::queue);
  histograms("homelab_llm_run_duration_seconds", "Runs on the engine, without the wait.",
             &ModelCounts::duration);
  out.metric("homelab_llm_http_requests_total", "counter",
             "Answered requests by route pattern and status.");
  for (auto const& [key, count] : state_->answers)
    out.sample({{"method", std::get<0>(key)},
                {"route", std::get<1>(key)},
                {"status", std::to_string(std::get<2>(key))}},
               static_cast<double>(count));
  out.metric("homelab_llm_http_request_duration_seconds", "histogram",
             "From the end of a request's head to the head of its answer.");
  for (auto const& [route, times] : state_->answer_times) out.histogram({{"route", route}}, times);
}

}  // namespace homelab::api
