#include "model_entry.h"

#include <chrono>

namespace homelab::api {

ModelStates::ModelStates(engine::EngineService const& engines) {
  for (auto const& job : engines.jobs())
    if (job.state == "downloading" || job.state == "starting") states_[job.model] = "loading";
  for (auto const& model : engines.all_loaded()) states_[model.name] = "loaded";
}

std::string_view ModelStates::of(std::string const& model) const {
  auto const found = states_.find(model);
  return found == states_.end() ? "unloaded" : found->second;
}

json::object model_entry(registry::Model const& model, std::string_view state) {
  auto const seconds =
      std::chrono::duration_cast<std::chrono::seconds>(model.created_at.time_since_epoch());
  return {{"id", model.model_name},
          {"object", "model"},
          {"created", seconds.count()},
          {"owned_by", "homelab-llm"},
          {"status", {{"value", state}}}};
}

}  // namespace homelab::api
