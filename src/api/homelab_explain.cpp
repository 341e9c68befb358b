// GET /api/explain?model=NAME: from the settings to the bytes of a model, link by link (design
// §2.3).
#include <fmt/format.h>

#include <optional>

#include "base/strings.h"
#include "config/settings.h"
#include "dialects.h"
#include "hub/downloader.h"
#include "json_text.h"
#include "replies.h"
#include "repo_removal.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

json::array settings_json(config::Settings const& settings) {
  json::array out;
  for (auto const& row : settings.explain())
    out.push_back(json::object{{"name", row.setting->name},
                               {"value", row.shown},
                               {"origin", row.origin},
                               {"meaning", row.setting->meaning}});
  return out;
}

json::object location_json(cache::LocationOptions const& location) {
  cache::HubFolder const hub = location.hub_folder
                                   ? cache::HubFolder{*location.hub_folder, "HF_HUB_CACHE names it"}
                                   : cache::hub_folder_of_root(location.root);
  return {{"root", location.root},
          {"origin", location.origin},
          {"hub_folder", hub.path.string()},
          {"why", hub.why},
          {"limit_gb", location.limit_gb}};
}

json::array files_json(hub::ReadySnapshot const& ready, cache::Path const& hub_folder,
                       cache::RepoId const& repo) {
  json::array out;
  auto const view = cache::RepoFolder(hub_folder, repo).snapshot(ready.commit);
  if (!view) return out;
  for (cache::SnapshotFile const& file : view->files)
    out.push_back(
        json::object{{"path", file.path.text()},
                     {"location", file.location.string()},
                     {"size_bytes", file.size_bytes},
                     {"is_link", file.is_link},
                     {"blob", file.blob ? json::value(file.blob->text()) : json::value()}});
  return out;
}

/// Snapshot and files of a repository, looked for in the folders in which a load would look.
void add_snapshot(json::object& out, std::vector<cache::Path> const& hub_folders,
                  cache::ModelReference const& reference) {
  out["repo_folder"] = cache::RepoFolder(hub_folders.front(), reference.repo).path().string();
  out["complete"] = false;
  for (cache::Path const& hub : hub_folders) {
    auto const ready = hub::find_local(hub, reference);
    if (!ready) {
      out["problem"] = ready.error().message;
      continue;
    }
    std::optional<hub::ReadySnapshot> const& found = *ready;
    if (!found) continue;
    hub::ReadySnapshot const& snapshot = *found;
    out["repo_folder"] = cache::RepoFolder(hub, reference.repo).path().string();
    out["complete"] = true;
    out["commit"] = snapshot.commit.text();
    out["snapshot"] = snapshot.folder.string();
    out["opened"] = snapshot.model_path.string();
    out["format"] = snapshot.format == hub::ModelFormat::kGguf ? "gguf" : "safetensors";
    out["total_bytes"] = snapshot.total_bytes;
    out["files"] = files_json(snapshot, hub, reference.repo);
    return;
  }
}

/// Which engine runs the model; null = our own.
json::value engine_json(registry::Model const& model) {
  auto const choice = engine::engine_choice_of(model.load_config);
  if (!choice) return nullptr;
  json::object out{{"name", nullptr}, {"url", nullptr}, {"model", nullptr}};
  if (!choice->name.empty()) out["name"] = choice->name;
  if (!choice->url.empty()) out["url"] = choice->url;
  if (!choice->model.empty()) out["model"] = choice->model;
  return out;
}

json::object model_chain(Services const& services, registry::Model const& model) {
  auto const kind =
      cache::parse_location_kind(model.cache_location).value_or(cache::LocationKind::kCustom);
  auto const resolved = services.locations.resolve(kind, model.cache_path);
  json::object out{
      {"model_name", model.model_name},         {"hf_path", model.hf_path},
      {"cache_location", model.cache_location}, {"stored_root", value_or_null(model.cache_path)},
      {"root", resolved.root.string()},         {"root_why", resolved.why},
      {"engine", engine_json(model)},           {"hub_folder", resolved.hub.path.string()},
      {"hub_folder_why", resolved.hub.why}};
  auto const reference = cache::ModelReference::parse(model.hf_path);
  if (reference) {
    out["repo"] = reference->repo.text();
    out["revision"] = reference->revision.text();
    out["variant"] = reference->variant;
    add_snapshot(out, hub_folders_of(services.locations, model), *reference);
  } else {
    out["local_path"] = model.hf_path;
  }
  return out;
}

Reply explain(Services const& services, Request const& request) {
  json::array custom;
  for (auto const& location : services.locations.all())
    if (location.kind == cache::LocationKind::kCustom) custom.push_back(location_json(location));
  json::object out{{"settings", settings_json(services.settings)},
                   {"warnings", json::value_from(services.settings.warnings())},
                   {"locations",
                    {{"primary", location_json(services.locations.primary())},
                     {"secondary", location_json(services.locations.secondary())},
                     {"custom", std::move(custom)}}},
                   {"model", nullptr}};
  if (auto const name = last_query_value(request, "model")) {
    auto const model = services.registry.find(*name);
    if (!model) return error_reply(model.error());
    out["model"] = model_chain(services, *model);
  }
  return json_reply(200, out);
}

}  // namespace

void add_explain_route(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/explain",
             [services](Request const& request) { return explain(*services, request); });
}

}  // namespace homelab::api
