#include "model_entry.h"

#include <chrono>

namespace homelab::api {

namespace {

constexpr std::string_view kFailed = "failed";

}  // namespace

ModelStates::ModelStates(engine::EngineService const& engines) {
  for (auto const& job : engines.jobs()) {  // the newest one of a model counts
    bool const loading = job.state == "downloading" || job.state == "starting";
    std::string_view const ended = job.state == kFailed ? kFailed : "unloaded";
    states_.emplace(job.model, loading ? "loading" : ended);
  }
  for (auto const& model : engines.all_loaded()) states_[model.name] = "loaded";
}

std::string_view ModelStates::of(std::string const& model) const {
  auto const found = states_.find(model);
  return found == states_.end() || found->second == kFailed ? "unloaded" : found->second;
}

json::object ModelStates::status(std::string const& model) const {
  json::object out{{"value", of(model)}};
  auto const found = states_.find(model);
  if (found != states_.end() && found->second == kFailed) {
    out["failed"] = true;
    out["exit_code"] = 1;
  }
  return out;
}

json::object model_entry(registry::Model const& model, ModelStates const& states) {
  auto const seconds =
      std::chrono::duration_cast<std::chrono::seconds>(model.created_at.time_since_epoch());
  return {{"id", model.model_name},
          {"object", "model"},
          {"created", seconds.count()},
          {"owned_by", "homelab-llm"},
          {"status", states.status(model.model_name)}};
}

Result<json::object> model_list(Services const& services) {
  ASSIGN_OR_RETURN(auto const models, services.registry.list());
  ModelStates const states(services.engines);
  json::array data;
  for (auto const& model : models) data.push_back(model_entry(model, states));
  return json::object{{"object", "list"}, {"data", std::move(data)}};
}

}  // namespace homelab::api
