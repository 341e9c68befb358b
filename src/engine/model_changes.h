#pragma once
// What changed between two looks at the loaded models. Pure.
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/engine_service.h"

namespace homelab::engine {

class ModelChanges {
 public:
  /// Why a model is not there any more: empty when that was wanted.
  using WhyGone = std::function<std::string(std::string const& model, bool was_loaded)>;

  /// Changes since the last look, by name. `loading`: the model that is being loaded, or empty.
  [[nodiscard]] std::vector<ModelChange> look(std::set<std::string> const& loaded,
                                              std::string const& loading, WhyGone const& why_gone);

 private:
  std::map<std::string, ModelChange::State> seen_;
};

}  // namespace homelab::engine
