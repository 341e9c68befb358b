#include "route_table.h"

#include <array>

#include "json_text.h"

namespace homelab::api {
namespace {

constexpr std::string_view kRegistry = "Model Registry";
constexpr std::string_view kOrchestration = "Orchestration";
constexpr std::string_view kJobs = "Jobs";
constexpr std::string_view kConfiguration = "Configuration";
constexpr std::string_view kInference = "Inference";
constexpr std::string_view kAnalytics = "Analytics";
constexpr std::string_view kCache = "Cache Management";
constexpr std::string_view kHealth = "Health";
constexpr std::string_view kOpenAi = "OpenAI";
constexpr std::string_view kOllama = "Ollama";
constexpr std::string_view kHub = "Hub Mirror";
constexpr std::string_view kPage = "Page";

constexpr std::string_view kGenerateBody =
    R"({"prompt": "Once upon a time", "max_tokens": 256, "temperature": 0.7, "top_p": 0.9, "do_sample": true})";
constexpr std::string_view kChatBody =
    R"({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 256, "temperature": 0.7})";

constexpr std::array kTable{
    RouteNote{
        "POST", "/api/models", kRegistry,
        "Registers a model: a name of your choice, a Hub id or a local path, a cache "
        "location. Downloads nothing.",
        R"({"model_name": "smol", "hf_path": "HuggingFaceTB/SmolLM2-135M-Instruct", "trust_remote_code": false, "cache_location": "primary", "cache_path": null, "estimated_size_mb": 5000, "engine": null})",
        "201 Model; 400 name taken or bad location; 422; 507 not enough space"},
    RouteNote{"GET", "/api/models", kRegistry, "All registered models, in the order of their ids.",
              "", "200 array of Model"},
    RouteNote{"GET", "/api/models/{name}", kRegistry, "One of them.", "", "200 Model; 404"},
    RouteNote{"DELETE", "/api/models/{name}", kRegistry,
              "Removes a model that is not loaded; with delete_files its files too, unless another "
              "model uses them.",
              "?delete_files=false", "200 message; 400 loaded; 404; 422"},
    RouteNote{"PATCH", "/api/models/{name}/config", kRegistry,
              "What the owner says about a model: load_config (JSON text, obeyed at the next "
              "load), compatibility status and notes; null clears.",
              R"({"load_config": "{\"context\": 4096}"})", "200 Model; 400; 404; 422"},
    RouteNote{
        "PATCH", "/api/models/{name}/metadata", kRegistry,
        "Benchmark scores, speed, latency and a quantisation label that the owner notes; null "
        "clears.",
        R"({"mmlu_score": 72.5, "quantization": "GPTQ 4-bit"})", "200 Model; 404; 422"},
    RouteNote{"GET", "/api/models/{name}/updates", kRegistry,
              "Asks the Hub whether there is something newer, and remembers the answer.", "",
              "200 object; 400 no cache path; 404; 500 the Hub cannot be asked; 503"},
    RouteNote{"POST", "/api/models/{name}/updates", kRegistry,
              "Remembers the answer of a check that was made elsewhere.",
              R"({"update_available": true, "local_commit": null})", "200 Model; 404; 422"},
    RouteNote{"POST", "/api/models/{name}/update", kRegistry,
              "Brings a model that is not loaded to its newest revision and removes what it needed "
              "before.",
              "?garbage_collect=true",
              "200 object; 400 loaded or no cache path; 404; 422; 500 with the cause; 503"},
    RouteNote{"POST", "/api/models/relocate", kRegistry,
              "The files of these models stand in another cache location now; homelab-llm cache mv "
              "tells it.",
              R"({"model_names": ["smol"], "cache_location": "secondary"})",
              "200 array of Model; 400 loaded or no such location; 404; 422"},
    RouteNote{"GET", "/api/status", kOrchestration, "What is loaded.", "", "200 object"},
    RouteNote{"POST", "/api/orchestrate/load", kOrchestration,
              "Loads a model by name; the previous one is unloaded, missing files are downloaded. "
              "Answers when it is ready.",
              R"({"model_name": "smol", "force_load": false, "beside": false})",
              "200 object; 400 incompatible and not forced; 404; 422; 500 with the cause; 503 with "
              "Retry-After: its engine died at the last loads"},
    RouteNote{"POST", "/api/orchestrate/unload", kOrchestration,
              "Unloads the loaded model, or the one that an optional body names.",
              R"({"model_name": "smol"})", "200 message; 400 not loaded; 422"},
    RouteNote{"GET", "/api/engines", kOrchestration,
              "Everything that is loaded, with its memory and requests.", "",
              R"(200 {"engines": [...]})"},
    RouteNote{
        "GET", "/api/engines/{name}/log", kOrchestration,
        "The last lines that a model's engine wrote, also of one that died; follow=1: and all "
        "that comes, as it comes.",
        "?lines=200&follow=0", "200 text; 400; 404 no log is kept"},
    RouteNote{"GET", "/api/orchestrate/validate", kOrchestration,
              "Self-test: five tokens from the loaded model.", "",
              "200 healthy or unhealthy; 503 none loaded"},
    RouteNote{"GET", "/api/jobs", kJobs,
              "Loads and cache jobs that wait, run or ended lately, with their progress.", "",
              R"(200 {"jobs": [...]})"},
    RouteNote{"GET", "/api/jobs/{id}", kJobs, "One of them; of a cache job also its result.", "",
              "200 job; 404"},
    RouteNote{"DELETE", "/api/jobs/{id}", kJobs,
              "Cancels: a job that waits ends at once, one that runs as soon as it can.", "",
              "200 job; 400 a load; 404"},
    RouteNote{"POST", "/api/jobs/{id}/retry", kJobs, "The same again as a new job.", "",
              "202 job; 400 not ended or a load; 404; 503 too many jobs wait"},
    RouteNote{"GET", "/api/jobs/{id}/events", kJobs,
              "Its progress as server-sent events: progress..., end.", "",
              "200 event stream; 400 a load; 404"},
    RouteNote{"POST", "/api/generate", kInference,
              "Continues a prompt; answers with prompt and continuation together.", kGenerateBody,
              "200 object; 422; 500; 503 none loaded"},
    RouteNote{"POST", "/api/generate/stream", kInference,
              "The same as server-sent events: start, token..., done (or error).", kGenerateBody,
              "200 event stream; 422; 503 none loaded"},
    RouteNote{"POST", "/api/chat", kInference,
              "Answers a conversation: the model's own chat template makes the prompt.", kChatBody,
              "200 object; 400 the template refuses the messages; 409; 422; 500; 503 none loaded"},
    RouteNote{"POST", "/api/chat/stream", kInference,
              "The same as server-sent events: start, token..., done (or error).", kChatBody,
              "200 event stream; 400; 409; 422; 503 none loaded"},
    RouteNote{"GET", "/api/requests", kInference,
              "Generations of all dialects that run or wait, by their ids (X-Request-ID).", "",
              R"(200 {"requests": [...]})"},
    RouteNote{"DELETE", "/api/requests/{id}", kInference, "Ends one of them.", "",
              "200 object; 404"},
    RouteNote{"POST", "/api/requests/{id}/cancel", kInference, "The same.", "", "200 object; 404"},
    RouteNote{"GET", "/api/analytics/performance/{name}", kAnalytics,
              "Averages over the recorded generations of a model that succeeded.", "",
              "200 object; 404 unknown, or nothing recorded yet"},
    RouteNote{"GET", "/api/analytics/logs/{name}", kAnalytics,
              "Its recorded generations, newest first, failed ones too.", "?limit=100",
              "200 object; 404; 422"},
    RouteNote{"GET", "/api/analytics/summary", kAnalytics,
              "Counts and percentiles over any number of runs, in groups.",
              "?by=all|model|revision|engine_version|endpoint&model=&since=7d",
              R"(200 {"groups": [...]}; 422)"},
    RouteNote{"GET", "/api/analytics/series", kAnalytics, "The same for every hour or day.",
              "?bucket=day|hour&by=model&since=30d", R"(200 {"groups": [...]}; 422)"},
    RouteNote{"GET", "/api/analytics/compare", kAnalytics,
              "Two revisions, models, engine versions or endpoints side by side.",
              "?by=revision&model=smol&a=COMMIT&b=COMMIT", "200 object; 400; 404 no runs; 422"},
    RouteNote{"GET", "/api/analytics/regressions", kAnalytics,
              "Is a model slower than it was? Its newest runs against the 30 days before them.",
              "?model=smol", R"(200 {"models": [...]}; 404)"},
    RouteNote{"GET", "/api/analytics/runs", kAnalytics,
              "Recorded runs with everything that is known of them, newest first.",
              "?model=smol&limit=100&before=ID", R"(200 {"runs": [...]}; 422)"},
    RouteNote{"GET", "/api/analytics/export", kAnalytics, "All of them as a file.",
              "?format=json|csv&model=&since=&until=", "200 file; 422"},
    RouteNote{"GET", "/api/config/logging", kConfiguration, "Is performance logging on?", "",
              "200 object"},
    RouteNote{"POST", "/api/config/logging", kConfiguration,
              "Switches performance logging; the switch survives a restart.", R"({"enable": true})",
              "200 object; 422"},
    RouteNote{"GET", "/api/cache/config", kCache, "The cache locations and limits in effect.", "",
              "200 object"},
    RouteNote{"POST", "/api/cache/jobs", kCache,
              "A command of homelab-llm cache as a job: verify, gc, rm, prune, mv, adopt, dedup, "
              "bridge, undo, trash_empty, update.",
              R"({"command": "verify", "repos": ["ORG/NAME"], "repair": false})",
              "202 job; 422; 503 too many jobs wait"},
    RouteNote{"GET", "/api/cache/ls", kCache,
              "Repositories in the caches; with repo one of them with its files.", "?repo=ORG/NAME",
              "200 array; 400; 404"},
    RouteNote{"GET", "/api/cache/du", kCache, "Where the space went, per location.", "",
              "200 array"},
    RouteNote{"GET", "/api/cache/trash", kCache, "What was removed and can still come back.", "",
              "200 array"},
    RouteNote{"GET", "/api/explain", kCache,
              "Every setting with its origin and, for a model, the way from there to its files.",
              "?model=smol", "200 object; 404"},
    RouteNote{"GET", "/health", kHealth, "Is the server alive?", "", "200 object"},
    RouteNote{"GET", "/metrics", kHealth, "Everything that is counted, for Prometheus.", "",
              "200 text"},
    RouteNote{"GET", "/v1/models", kOpenAi, "Registered models in OpenAI's form.", "", "200 list"},
    RouteNote{"GET", "/v1/models/{model...}", kOpenAi, "One of them.", "", "200 model; 404"},
    RouteNote{
        "POST", "/v1/chat/completions", kOpenAi,
        "Chat; loads the named model when it is not loaded yet. Streams with \"stream\": true.",
        R"({"model": "smol", "messages": [{"role": "user", "content": "Hello"}]})",
        "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/v1/completions", kOpenAi, "Text completion, likewise.",
              R"({"model": "smol", "prompt": "Once upon a time"})",
              "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/v1/embeddings", kOpenAi, "Embeddings, from a model made for that.",
              R"({"model": "nomic", "input": ["a text"]})",
              "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/v1/rerank", kOpenAi,
              "Ranks documents by a query, with a model made for that.",
              R"({"model": "bge", "query": "q", "documents": ["a", "b"]})",
              "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/v1/reranking", kOpenAi, "The same.",
              R"({"model": "bge", "query": "q", "documents": ["a", "b"]})",
              "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/v1/responses", kOpenAi, "OpenAI's newer form of a chat.",
              R"({"model": "smol", "input": "Hello"})", "200; 404 unknown model; 503 none loaded"},
    RouteNote{
        "POST", "/v1/messages", kOpenAi, "Anthropic's form of a chat.",
        R"({"model": "smol", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]})",
        "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/v1/chat/completions/input_tokens", kOpenAi, "How many tokens a chat has.",
              R"({"model": "smol", "messages": [{"role": "user", "content": "Hello"}]})",
              "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/v1/responses/input_tokens", kOpenAi, "How many tokens a request has.",
              R"({"model": "smol", "input": "Hello"})", "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/v1/messages/count_tokens", kOpenAi, "How many tokens Anthropic's form has.",
              R"({"model": "smol", "messages": [{"role": "user", "content": "Hello"}]})",
              "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/tokenize", kOpenAi, "The token ids of a text.",
              R"({"model": "smol", "content": "Hello"})",
              "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/detokenize", kOpenAi, "The text of token ids.",
              R"({"model": "smol", "tokens": [19556]})", "200; 404 unknown model; 503 none loaded"},
    RouteNote{"POST", "/apply-template", kOpenAi, "What a chat looks like to the model.",
              R"({"model": "smol", "messages": [{"role": "user", "content": "Hello"}]})",
              "200; 404 unknown model; 503 none loaded"},
    RouteNote{"GET", "/models", kOpenAi,
              "Registered models with their state, as llama.cpp's router lists them.", "",
              "200 list"},
    RouteNote{"GET", "/models/sse", kOpenAi,
              "Every change of a model's state, as llama.cpp's router streams them.", "",
              "200 event stream"},
    RouteNote{"POST", "/models/load", kOpenAi,
              "Begins to load a model beside the others and answers at once.",
              R"({"model": "smol"})", "200; 400 already running; 404"},
    RouteNote{"POST", "/models/unload", kOpenAi, "Unloads a model.", R"({"model": "smol"})",
              "200; 400 not loaded; 404"},
    RouteNote{"POST", "/ollama/api/chat", kOllama, "Chat, as lines of JSON.",
              R"({"model": "smol", "messages": [{"role": "user", "content": "Hello"}]})",
              "200; 400; 404 unknown model; 503"},
    RouteNote{"POST", "/ollama/api/generate", kOllama,
              "One prompt, as lines of JSON; without a prompt the model is loaded.",
              R"({"model": "smol", "prompt": "Hello"})", "200; 400; 404 unknown model; 503"},
    RouteNote{"POST", "/ollama/api/embed", kOllama, "Embeddings, from a model made for that.",
              R"({"model": "nomic", "input": ["a text"]})", "200; 400; 404"},
    RouteNote{"POST", "/ollama/api/embeddings", kOllama, "The older form, one vector.",
              R"({"model": "nomic", "prompt": "a text"})", "200; 400; 404"},
    RouteNote{"POST", "/ollama/api/show", kOllama, "What is known about a model.",
              R"({"model": "smol"})", "200; 404"},
    RouteNote{"GET", "/ollama/api/tags", kOllama, "Registered models.", "", "200"},
    RouteNote{"GET", "/ollama/api/ps", kOllama, "Loaded models.", "", "200"},
    RouteNote{"GET", "/ollama/api/version", kOllama, "The version whose API this is.", "", "200"},
    RouteNote{"GET", "/ollama", kOllama, "Is somebody there?", "", "200 text"},
    RouteNote{"GET", "/ollama/", kOllama, "The same.", "", "200 text"},
    RouteNote{"GET", "/hub/api/models", kHub,
              "Repositories in the cache. Use the mirror with HF_ENDPOINT=http://HOST:PORT/hub.",
              "?search=&limit=", "200 array"},
    RouteNote{"GET", "/hub/api/models/{org}/{name}", kHub, "Repository information.", "?blobs=true",
              "200 object; 404"},
    RouteNote{"GET", "/hub/api/models/{org}/{name}/revision/{rest...}", kHub,
              "The same of a revision.", "?blobs=true", "200 object; 404"},
    RouteNote{"GET", "/hub/api/models/{org}/{name}/tree/{rest...}", kHub, "Files of a revision.",
              "?recursive=true&expand=false", "200 array; 404; 503 not complete here"},
    RouteNote{"POST", "/hub/api/models/{org}/{name}/paths-info/{rest...}", kHub,
              "Information on given paths.", "paths=a&paths=b", "200 array; 404"},
    RouteNote{"GET", "/hub/api/models/{org}/{name}/refs", kHub, "Branches and tags.", "",
              "200 object; 404"},
    RouteNote{"GET", "/hub/{org}/{name}/resolve/{rest...}", kHub,
              "Content of a file; HEAD gives its metadata. Ranges are honoured.", "",
              "200 or 206; 404; 503 not complete here"},
    RouteNote{"GET", "/", kPage, "The web page.", "", "200 text/html"},
    RouteNote{"GET", "/static/{file}", kPage, "Files of the web page.", "", "200; 404"},
    RouteNote{"GET", "/docs", kPage, "This overview.", "", "200 text/html"},
    RouteNote{"GET", "/openapi.json", kPage, "The routes for programs.", "", "200 object"},
};

std::string escaped(std::string_view text) {
  std::string out;
  for (char const c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void add_row(std::string& html, RouteNote const& note) {
  html += "<article><h3><span class=\"method\">" + escaped(note.method) + "</span> <code>" +
          escaped(note.path) + "</code></h3><p>" + escaped(note.purpose) + "</p>";
  if (!note.request.empty()) html += "<pre>" + escaped(note.request) + "</pre>";
  html += "<p class=\"answers\">" + escaped(note.success) + "</p></article>\n";
}

/// "{rest...}" is written "{rest}" in OpenAPI.
std::string openapi_path(std::string_view path) {
  std::string out(path);
  if (std::size_t const dots = out.find("...}"); dots != std::string::npos) out.erase(dots, 3);
  return out;
}

json::array path_parameters(std::string_view path) {
  json::array out;
  for (std::size_t at = path.find('{'); at != std::string_view::npos; at = path.find('{', at + 1)) {
    std::string_view name = path.substr(at + 1, path.find('}', at) - at - 1);
    if (name.ends_with("...")) name.remove_suffix(3);
    out.push_back(json::object{
        {"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  }
  return out;
}

json::object operation(RouteNote const& note) {
  json::object out{{"tags", json::array{note.group}},
                   {"summary", note.purpose},
                   {"parameters", path_parameters(note.path)}};
  if (note.request.starts_with('{'))
    out["requestBody"] = {{"required", true},
                          {"content",
                           {{"application/json",
                             {{"schema", {{"type", "object"}}},
                              {"example", parse_json(note.request).value_or(json::value())}}}}}};
  std::string_view const status = note.success.substr(0, 3);
  out["responses"] = json::object{{status, {{"description", note.success}}}};
  return out;
}

}  // namespace

std::span<RouteNote const> route_table() { return kTable; }

std::string docs_html(std::string_view version) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<title>API - Homelab LLM Server</title>"
      "<link rel=\"icon\" href=\"/static/icon.svg\" type=\"image/svg+xml\">"
      "<link rel=\"stylesheet\" href=\"/static/style.css\"></head><body class=\"docs\">"
      "<header><h1>Homelab LLM Server</h1><p>API, version " +
      escaped(version) +
      " &middot; <a href=\"/\">page</a> &middot; <a href=\"/openapi.json\">openapi.json</a></p>"
      "</header><main>\n"
      "<p>Bodies are JSON. Errors are <code>{\"detail\": \"...\"}</code>, for invalid input status "
      "422 with one entry per bad field.</p>\n";
  std::string_view group;
  for (RouteNote const& note : kTable) {
    if (note.group != group) {
      if (!group.empty()) html += "</section>\n";
      html += "<section><h2>" + escaped(note.group) + "</h2>\n";
      group = note.group;
    }
    add_row(html, note);
  }
  return html + "</section></main></body></html>\n";
}

std::string openapi_json(std::string_view version) {
  json::object paths;
  for (RouteNote const& note : kTable) {
    std::string method(note.method);
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    json::value& entry = paths[openapi_path(note.path)];
    if (!entry.is_object()) entry.emplace_object();
    entry.get_object()[method] = operation(note);
  }
  return to_json_text(
      json::object{{"openapi", "3.1.0"},
                   {"info", {{"title", "Homelab LLM Server"}, {"version", version}}},
                   {"paths", std::move(paths)}});
}

}  // namespace homelab::api
