#include "route_needs.h"

#include <array>
#include <map>
#include <utility>

namespace homelab::api {
namespace {

using access::Need;

constexpr std::array kTable{
    // In the order of route_table.cpp.
    RouteNeed{"POST", "/api/models", Need::kManage},
    RouteNeed{"GET", "/api/models", Need::kUse},
    RouteNeed{"GET", "/api/models/{name}", Need::kUse},
    RouteNeed{"DELETE", "/api/models/{name}", Need::kManage},
    RouteNeed{"PATCH", "/api/models/{name}/config", Need::kManage},
    RouteNeed{"PATCH", "/api/models/{name}/metadata", Need::kManage},
    RouteNeed{"GET", "/api/models/{name}/updates", Need::kUse},
    RouteNeed{"POST", "/api/models/{name}/updates", Need::kManage},
    RouteNeed{"POST", "/api/models/{name}/update", Need::kManage},
    RouteNeed{"POST", "/api/models/relocate", Need::kManage},
    RouteNeed{"GET", "/api/status", Need::kUse},
    RouteNeed{"POST", "/api/orchestrate/load", Need::kManage},
    RouteNeed{"POST", "/api/orchestrate/unload", Need::kManage},
    RouteNeed{"GET", "/api/engines", Need::kUse},
    RouteNeed{"GET", "/api/engines/{name}/log", Need::kUse},
    RouteNeed{"GET", "/api/orchestrate/validate", Need::kUse},
    RouteNeed{"GET", "/api/jobs", Need::kUse},
    RouteNeed{"GET", "/api/jobs/{id}", Need::kUse},
    RouteNeed{"DELETE", "/api/jobs/{id}", Need::kManage},
    RouteNeed{"POST", "/api/jobs/{id}/retry", Need::kManage},
    RouteNeed{"GET", "/api/jobs/{id}/events", Need::kUse},
    RouteNeed{"POST", "/api/generate", Need::kUse},
    RouteNeed{"POST", "/api/generate/stream", Need::kUse},
    RouteNeed{"POST", "/api/chat", Need::kUse},
    RouteNeed{"POST", "/api/chat/stream", Need::kUse},
    RouteNeed{"GET", "/api/requests", Need::kUse},
    RouteNeed{"DELETE", "/api/requests/{id}", Need::kUse},
    RouteNeed{"POST", "/api/requests/{id}/cancel", Need::kUse},
    RouteNeed{"GET", "/api/analytics/performance/{name}", Need::kUse},
    RouteNeed{"GET", "/api/analytics/logs/{name}", Need::kUse},
    RouteNeed{"GET", "/api/analytics/summary", Need::kUse},
    RouteNeed{"GET", "/api/analytics/series", Need::kUse},
    RouteNeed{"GET", "/api/analytics/compare", Need::kUse},
    RouteNeed{"GET", "/api/analytics/regressions", Need::kUse},
    RouteNeed{"GET", "/api/analytics/runs", Need::kUse},
    RouteNeed{"GET", "/api/analytics/export", Need::kUse},
    RouteNeed{"GET", "/api/config/logging", Need::kUse},
    RouteNeed{"POST", "/api/config/logging", Need::kManage},
    RouteNeed{"GET", "/api/cache/config", Need::kUse},
    RouteNeed{"POST", "/api/cache/jobs", Need::kManage},
    RouteNeed{"GET", "/api/cache/stats", Need::kUse},
    RouteNeed{"POST", "/api/cache/check", Need::kUse},
    RouteNeed{"GET", "/api/cache/recommend", Need::kUse},
    RouteNeed{"GET", "/api/cache/orphaned", Need::kUse},
    RouteNeed{"POST", "/api/cache/cleanup", Need::kManage},
    RouteNeed{"GET", "/api/cache/ls", Need::kUse},
    RouteNeed{"GET", "/api/cache/du", Need::kUse},
    RouteNeed{"GET", "/api/cache/trash", Need::kUse},
    RouteNeed{"GET", "/api/explain", Need::kUse},
    RouteNeed{"GET", "/health", Need::kOpen},
    RouteNeed{"GET", "/metrics", Need::kUse},
    RouteNeed{"GET", "/v1/models", Need::kUse},
    RouteNeed{"GET", "/v1/models/{model...}", Need::kUse},
    RouteNeed{"POST", "/v1/chat/completions", Need::kUse},
    RouteNeed{"POST", "/v1/completions", Need::kUse},
    RouteNeed{"POST", "/v1/embeddings", Need::kUse},
    RouteNeed{"POST", "/v1/rerank", Need::kUse},
    RouteNeed{"POST", "/v1/reranking", Need::kUse},
    RouteNeed{"POST", "/v1/responses", Need::kUse},
    RouteNeed{"POST", "/v1/messages", Need::kUse},
    RouteNeed{"POST", "/v1/chat/completions/input_tokens", Need::kUse},
    RouteNeed{"POST", "/v1/responses/input_tokens", Need::kUse},
    RouteNeed{"POST", "/v1/messages/count_tokens", Need::kUse},
    RouteNeed{"POST", "/tokenize", Need::kUse},
    RouteNeed{"POST", "/detokenize", Need::kUse},
    RouteNeed{"POST", "/apply-template", Need::kUse},
    RouteNeed{"GET", "/models", Need::kUse},
    RouteNeed{"GET", "/models/sse", Need::kUse},
    RouteNeed{"POST", "/models/load", Need::kManage},
    RouteNeed{"POST", "/models/unload", Need::kManage},
    RouteNeed{"POST", "/ollama/api/chat", Need::kUse},
    RouteNeed{"POST", "/ollama/api/generate", Need::kUse},
    RouteNeed{"POST", "/ollama/api/embed", Need::kUse},
    RouteNeed{"POST", "/ollama/api/embeddings", Need::kUse},
    RouteNeed{"POST", "/ollama/api/show", Need::kUse},
    RouteNeed{"GET", "/ollama/api/tags", Need::kUse},
    RouteNeed{"GET", "/ollama/api/ps", Need::kUse},
    RouteNeed{"GET", "/ollama/api/version", Need::kUse},
    RouteNeed{"GET", "/ollama", Need::kOpen},
    RouteNeed{"GET", "/ollama/", Need::kOpen},
    RouteNeed{"GET", "/", Need::kOpen},
    RouteNeed{"GET", "/static/{file}", Need::kOpen},
    RouteNeed{"GET", "/docs", Need::kOpen},
    RouteNeed{"GET", "/openapi.json", Need::kOpen},
};

using Key = std::pair<std::string_view, std::string_view>;

std::map<Key, Need> const& by_route() {
  static auto const map = [] {
    std::map<Key, Need> all;
    for (RouteNeed const& row : kTable) all.emplace(Key{row.pattern, row.method}, row.need);
    return all;
  }();
  return map;
}

}  // namespace

std::span<RouteNeed const> route_needs() { return kTable; }

access::Need need_of(std::string_view method, std::string_view pattern) {
  if (pattern.empty()) return Need::kOpen;
  // The Hub's dialect only reads, also where it asks with POST.
  if (pattern.starts_with("/hub/")) return Need::kUse;
  auto const found = by_route().find(Key{pattern, method == "HEAD" ? "GET" : method});
  return found == by_route().end() ? Need::kManage : found->second;
}

}  // namespace homelab::api
