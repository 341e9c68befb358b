#pragma once
// A registered model as the lists of OpenAI's and llama.cpp's dialects show it.
#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "engine/engine_service.h"
#include "registry/model.h"

namespace homelab::api {

/// What the models are doing at one moment, in llama.cpp's words.
class ModelStates {
 public:
  explicit ModelStates(engine::EngineService const& engines);
  /// "loaded", "loading" or "unloaded".
  [[nodiscard]] std::string_view of(std::string const& model) const;

 private:
  std::map<std::string, std::string_view> states_;
};

[[nodiscard]] json::object model_entry(registry::Model const& model, std::string_view state);

}  // namespace homelab::api
