#pragma once
// A registered model as the lists of OpenAI's and llama.cpp's dialects show it.
#include <map>
#include <string>
#include <string_view>

#include "api/routes.h"
#include "base/json.h"
#include "base/result.h"
#include "engine/engine_service.h"
#include "registry/model.h"

namespace homelab::api {

/// What the models are doing at one moment, in llama.cpp's words.
class ModelStates {
 public:
  explicit ModelStates(engine::EngineService const& engines);
  /// "loaded", "loading" or "unloaded".
  [[nodiscard]] std::string_view of(std::string const& model) const;
  /// {"value": of(model)}, and whether the last load failed.
  [[nodiscard]] json::object status(std::string const& model) const;

 private:
  std::map<std::string, std::string_view> states_;
};

[[nodiscard]] json::object model_entry(registry::Model const& model, ModelStates const& states);
/// {"object": "list", "data": [...]}: all registered models.
[[nodiscard]] Result<json::object> model_list(Services const& services);

}  // namespace homelab::api
