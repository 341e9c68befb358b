#include "model_changes.h"

#include <utility>

namespace homelab::engine {

std::vector<ModelChange> ModelChanges::look(std::set<std::string> const& loaded,
                                            std::string const& loading, WhyGone const& why_gone) {
  using State = ModelChange::State;
  std::map<std::string, State> now;
  for (auto const& name : loaded) now.emplace(name, State::kLoaded);
  if (!loading.empty()) now.emplace(loading, State::kLoading);
  std::vector<ModelChange> changes;
  for (auto const& [name, state] : seen_)
    if (!now.contains(name))
      changes.push_back({name, State::kUnloaded, why_gone(name, state == State::kLoaded)});
  for (auto const& [name, state] : now) {
    auto const before = seen_.find(name);
    if (before == seen_.end() || before->second != state) changes.push_back({name, state, {}});
  }
  seen_ = std::move(now);
  return changes;
}

}  // namespace homelab::engine
