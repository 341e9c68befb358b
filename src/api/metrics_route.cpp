// GET /metrics for Prometheus: what was counted, and what is so right now.
#include "api/metrics.h"
#include "dialects.h"
#include "exposition.h"
#include "process_facts.h"
#include "replies.h"

namespace homelab::api {
namespace {

using http::Reply;

constexpr double kGigabyte = 1024.0 * 1024 * 1024;

void gauge(Exposition& out, std::string_view name, std::string_view help, double value) {
  out.metric(name, "gauge", help);
  out.sample({}, value);
}

void counter(Exposition& out, std::string_view name, std::string_view help, double value) {
  out.metric(name, "counter", help);
  out.sample({}, value);
}

double as_number(std::uint64_t value) { return static_cast<double>(value); }

void write_engines(Exposition& out, Services const& services) {
  auto const counts = services.engines.request_counts();
  auto const models = services.engines.all_loaded();
  gauge(out, "homelab_llm_requests_waiting", "Requests that wait for their model or their turn.",
        as_number(counts.waiting));
  gauge(out, "homelab_llm_requests_working", "Requests that engines work on.",
        as_number(counts.working));
  gauge(out, "homelab_llm_models_loaded", "Models that are loaded.", as_number(models.size()));
  auto const each = [&](std::string_view name, std::string_view help, auto value) {
    out.metric(name, "gauge", help);
    for (auto const& model : models) out.sample({{"model", model.name}}, value(model));
  };
  each("homelab_llm_model_memory_bytes", "Memory of a loaded model's engine.",
       [](auto const& model) { return as_number(model.resident_bytes); });
  each("homelab_llm_model_active_requests", "Requests that a loaded model works on.",
       [](auto const& model) { return as_number(model.active_requests); });
  gauge(out, "homelab_llm_performance_logging", "1 while runs leave rows in the database.",
        services.engines.performance_logging() ? 1 : 0);
  counter(out, "homelab_llm_dropped_performance_rows_total", "Rows that could not be written.",
          as_number(services.registry.dropped_rows()));
}

void write_cache(Exposition& out, Services const& services) {
  // What was measured last; the first question begins the measuring.
  auto const locations = services.usage.latest(std::chrono::milliseconds(0));
  auto const labels = [&](std::size_t index) {
    auto const& one = locations[index];
    return Labels{{"location", std::string(cache::to_string(one.kind))},
                  {"number", std::to_string(index)}};
  };
  auto const each = [&](std::string_view name, std::string_view help, auto value) {
    out.metric(name, "gauge", help);
    for (std::size_t i = 0; i < locations.size(); ++i)
      out.sample(labels(i), value(locations[i].space) * kGigabyte);
  };
  each("homelab_llm_cache_used_bytes", "Bytes of a cache location's repositories.",
       [](auto const& space) { return space.cache_size_gb; });
  each("homelab_llm_cache_limit_bytes", "Quota of a cache location; 0 = none.",
       [](auto const& space) { return space.limit_gb; });
  each("homelab_llm_cache_disk_free_bytes", "Free bytes of a cache location's disk.",
       [](auto const& space) { return space.disk_free_gb; });
}

void write_process(Exposition& out) {
  auto const facts = process_facts();
  counter(out, "process_cpu_seconds_total", "Processor time of the server, without its engines.",
          facts.cpu_seconds);
  gauge(out, "process_resident_memory_bytes", "Resident memory.", as_number(facts.resident_bytes));
  gauge(out, "process_virtual_memory_bytes", "Virtual memory.", as_number(facts.virtual_bytes));
  gauge(out, "process_open_fds", "Open file descriptors.", as_number(facts.open_fds));
  gauge(out, "process_max_fds", "Limit of open file descriptors.", as_number(facts.max_fds));
  gauge(out, "process_threads", "Threads.", as_number(facts.threads));
  gauge(out, "process_start_time_seconds", "Start, in seconds since 1970.", facts.started_at);
}

Reply metrics(Services const& services) {
  Exposition out;
  out.metric("homelab_llm_build_info", "gauge", "Version of the server.");
  out.sample({{"version", services.version}}, 1);
  services.metrics.write(out);
  write_engines(out, services);
  write_cache(out, services);
  write_process(out);
  return text_reply(200, std::move(out).take(), "text/plain; version=0.0.4; charset=utf-8");
}

}  // namespace

void add_metrics_route(http::Router& router, SharedServices const& services) {
  router.add("GET", "/metrics", [services](http::Request const&) { return metrics(*services); });
  router.on_answer([services](http::Request const& request, int status) {
    // A head that could not be read has no begin.
    auto const now = std::chrono::steady_clock::now();
    auto const begun = request.begun == decltype(now)() ? now : request.begun;
    services->metrics.answered(request.method, request.route, status, now - begun);
  });
}

}  // namespace homelab::api
