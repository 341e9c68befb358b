// Figures of many runs: percentiles, series, comparisons, slowdowns, and the runs themselves.
#include <algorithm>
#include <array>
#include <limits>

#include "base/time.h"
#include "dialects.h"
#include "json_text.h"
#include "replies.h"
#include "run_json.h"
#include "run_query.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;
using registry::RunBucket;
using registry::RunGrouping;
using registry::RunQuestion;

constexpr std::array<std::string_view, 5> kGroupings = {"all", "model", "revision",
                                                        "engine_version", "endpoint"};
constexpr std::array<std::string_view, 4> kSides = {"revision", "model", "engine_version",
                                                    "endpoint"};
constexpr std::array<std::string_view, 2> kBuckets = {"day", "hour"};

Reply answer(Services const& services, RunQuestion const& question) {
  services.registry.flush();  // what was answered before is in the answer
  auto const found = services.registry.run_figures(question);
  if (!found) return error_reply(found.error());
  json::array groups;
  for (auto const& figures : found->groups) groups.push_back(figures_json(figures));
  return json_reply(200,
                    json::object{{"groups", std::move(groups)}, {"complete", found->complete}});
}

tl::expected<RunQuestion, http::Response> read_question(Request const& request) {
  auto filter = run_filter(request);
  if (!filter) return tl::unexpected(std::move(filter).error());
  auto const by = one_of(request, "by", kGroupings);
  if (!by) return tl::unexpected(by.error());
  return RunQuestion{*std::move(filter), static_cast<RunGrouping>(*by), RunBucket::kNone};
}

Reply summary(Services const& services, Request const& request) {
  auto const question = read_question(request);
  return question ? answer(services, *question) : question.error();
}

/// Hours of a year would be too much for one answer.
Reply series(Services const& services, Request const& request) {
  auto question = read_question(request);
  if (!question) return std::move(question).error();
  auto const bucket = one_of(request, "bucket", kBuckets);
  if (!bucket) return bucket.error();
  question->bucket = *bucket == 0 ? RunBucket::kDay : RunBucket::kHour;
  if (question->bucket == RunBucket::kHour && !question->filter.since)
    question->filter.since = utc_now() - std::chrono::days(7);
  return answer(services, *question);
}

std::optional<double> median(std::optional<registry::Percentiles> const& value) {
  return value ? std::optional(value->p50) : std::nullopt;
}

json::object change(registry::RunFigures const& a, registry::RunFigures const& b) {
  auto const percent = [](std::optional<double> before,
                          std::optional<double> after) -> json::value {
    if (!before || !after || *before <= 0) return nullptr;
    return (*after / *before - 1) * 100;
  };
  return {{"ttft_ms", percent(median(a.ttft_ms), median(b.ttft_ms))},
          {"latency_ms", percent(median(a.latency_ms), median(b.latency_ms))},
          {"decode_tokens_per_second",
           percent(median(a.decode_tokens_per_second), median(b.decode_tokens_per_second))},
          {"prefill_tokens_per_second",
           percent(median(a.prefill_tokens_per_second), median(b.prefill_tokens_per_second))}};
}

/// Two groups of one kind, by default two revisions of a model.
Reply compare(Services const& services, Request const& request) {
  auto filter = run_filter(request);
  if (!filter) return std::move(filter).error();
  auto const by = one_of(request, "by", kSides);
  if (!by) return by.error();
  std::optional<std::string> registry::RunFilter::* const fields[] = {
      &registry::RunFilter::revision, &registry::RunFilter::model,
      &registry::RunFilter::engine_version, &registry::RunFilter::endpoint};
  if (!last_query_value(request, "a") || !last_query_value(request, "b"))
    return detail_reply(400, "Name the two groups: ?a=...&b=...");
  services.registry.flush();
  json::object out;
  std::vector<registry::RunFigures> both;
  for (auto const* name : {"a", "b"}) {
    auto const group = last_query_value(request, name);
    RunQuestion question{*filter, RunGrouping::kAll, RunBucket::kNone};
    question.filter.*fields[*by] = *group;
    auto found = services.registry.run_figures(question);
    if (!found) return error_reply(found.error());
    if (found->groups.empty()) return detail_reply(404, "No run of '" + *group + "' is recorded");
    both.push_back(found->groups.front());
    both.back().group = *group;
    out[name] = figures_json(both.back());
  }
  out["median_change_percent"] = change(both[0], both[1]);
  return json_reply(200, out);
}

json::value pair_json(std::optional<registry::RunComparison::Pair> const& pair) {
  if (!pair) return nullptr;
  return json::object{{"recent_p50", pair->recent}, {"past_p50", pair->past}};
}

Result<json::object> regression(Services const& services, std::string const& model) {
  ASSIGN_OR_RETURN(auto const comparison, services.registry.compare_runs(model));
  json::array slower;
  for (auto const& one : registry::slowdowns(comparison))
    slower.push_back(json::object{{"figure", one.figure},
                                  {"recent_p50", one.recent},
                                  {"past_p50", one.past},
                                  {"change_percent", one.change_percent}});
  return json::object{
      {"model", model},
      {"recent_runs", comparison.recent_runs},
      {"past_runs", comparison.past_runs},
      {"ttft_ms", pair_json(comparison.ttft_ms)},
      {"decode_tokens_per_second", pair_json(comparison.decode_tokens_per_second)},
      {"prefill_tokens_per_second", pair_json(comparison.prefill_tokens_per_second)},
      {"slower", std::move(slower)}};
}

Reply regressions(Services const& services, Request const& request) {
  services.registry.flush();
  std::vector<std::string> names;
  if (auto const wanted = last_query_value(request, "model")) {
    auto const model = services.registry.find(*wanted);
    if (!model) return error_reply(model.error());
    names.push_back(model->model_name);
  } else {
    auto const models = services.registry.list();
    if (!models) return error_reply(models.error());
    for (auto const& model : *models)
      if (model.total_inferences > 0) names.push_back(model.model_name);
  }
  json::array out;
  for (auto const& name : names) {
    auto one = regression(services, name);
    if (!one) return error_reply(one.error());
    out.push_back(*std::move(one));
  }
  return json_reply(200, json::object{{"models", std::move(out)}});
}

Reply runs(Services const& services, Request const& request) {
  constexpr std::int64_t kDefault = 100, kMost = 1000;
  auto const filter = run_filter(request);
  if (!filter) return filter.error();
  auto const limit = query_integer(request, "limit", kDefault);
  if (!limit) return limit.error();
  auto const before = query_integer(request, "before", std::numeric_limits<std::int64_t>::max());
  if (!before) return before.error();
  services.registry.flush();
  auto const found = services.registry.runs_before(
      *filter, *before, static_cast<int>(std::clamp<std::int64_t>(*limit, 0, kMost)));
  if (!found) return error_reply(found.error());
  json::array list;
  for (auto const& row : *found) list.push_back(run_json(row));
  json::value const next = found->empty() ? json::value() : json::value(found->back().id);
  return json_reply(200, json::object{{"runs", std::move(list)}, {"before", next}});
}

}  // namespace

void add_run_analytics_routes(http::Router& router, SharedServices const& services) {
  auto const get = [&](std::string const& path, Reply (*handler)(Services const&, Request const&)) {
    router.add("GET", "/api/analytics" + path,
               [services, handler](Request const& request) { return handler(*services, request); });
  };
  get("/summary", summary);
  get("/series", series);
  get("/compare", compare);
  get("/regressions", regressions);
  get("/runs", runs);
}

}  // namespace homelab::api
