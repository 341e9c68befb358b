#pragma once
// The dialects, one file each; routes.cpp puts them together.
#include <memory>

#include "api/routes.h"

namespace homelab::api {

using SharedServices = std::shared_ptr<Services const>;

/// The original's contract (§2): /api/models, /api/status, /api/orchestrate, /api/generate,
/// /api/analytics, /api/config, /api/cache, /health.
void add_model_routes(http::Router& router, SharedServices const& services);
void add_config_routes(http::Router& router, SharedServices const& services);
void add_update_routes(http::Router& router, SharedServices const& services);
void add_model_update_routes(http::Router& router, SharedServices const& services);
void add_orchestration_routes(http::Router& router, SharedServices const& services);
void add_analytics_routes(http::Router& router, SharedServices const& services);
/// Ours: figures of runs below /api/analytics, their export, GET /metrics.
void add_run_analytics_routes(http::Router& router, SharedServices const& services);
void add_run_export_route(http::Router& router, SharedServices const& services);
void add_metrics_route(http::Router& router, SharedServices const& services);
void add_generation_routes(http::Router& router, SharedServices const& services);
/// Ours: GET /api/requests, and the end of one.
void add_request_routes(http::Router& router, SharedServices const& services);
void add_system_routes(http::Router& router, SharedServices const& services);
void add_cache_routes(http::Router& router, SharedServices const& services);
/// GET /health alone.
void add_health_route(http::Router& router);
/// Ours: POST /api/models/relocate.
void add_relocation_routes(http::Router& router, SharedServices const& services);
/// Ours: GET /api/explain.
void add_explain_route(http::Router& router, SharedServices const& services);
/// Ours: /api/jobs, and the cache's commands as jobs: /api/cache/jobs, /api/cache/ls, du.
void add_job_routes(http::Router& router, SharedServices const& services);
void add_cache_job_routes(http::Router& router, SharedServices const& services);
/// Ours: GET /api/engines, everything that is loaded.
void add_engine_routes(http::Router& router, SharedServices const& services);
/// OpenAI's and Anthropic's: /v1, and the engine's own /tokenize, /detokenize, /apply-template.
void add_openai_routes(http::Router& router, SharedServices const& services);
/// llama.cpp's router: /models.
void add_llama_router_routes(http::Router& router, SharedServices const& services);
/// Ollama's, below /ollama (because /api/generate is the original's).
void add_ollama_routes(http::Router& router, SharedServices const& services);
/// The Hub's, below `prefix` ("/hub", or "" for the root).
void add_mirror_routes(http::Router& router, std::string const& prefix,
                       mirror::Mirror const& mirror);
/// The web page, its files, /docs and /openapi.json.
void add_page_routes(http::Router& router, std::string const& version);

}  // namespace homelab::api
