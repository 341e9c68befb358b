#pragma once
// A repository into another cache: `cache mv`.
#include <string>
#include <vector>

#include "base/json.h"
#include "cache/move.h"
#include "care/work.h"

namespace homelab::care {

struct MvChoice {
  std::string repo;  ///< "[dataset/]org/name"
  std::string to;    ///< location
  std::string path;  ///< or the root of a custom one
  std::string from;  ///< location; empty: wherever it is
  bool force = false;
  bool dry_run = false;
};

struct PlannedMove {
  MvChoice choice;
  cache::MoveRequest request;
  cache::MovePlan plan;
  bool needless = false;              ///< it is there already, and nowhere else
  std::vector<RegisteredModel> rows;  ///< as they are now: they will name the target
  std::string location;               ///< what they will say
  std::string root;                   ///< of that location, as configured or as it was chosen
  [[nodiscard]] bool changes_nothing() const { return needless && rows.empty(); }
};
/// Changes nothing. kFailedPrecondition when a model is loaded from there, or registered by a path
/// into it, unless forced.
[[nodiscard]] Result<PlannedMove> plan(Work const& work, MvChoice const& choice);
/// See cache::move_repo. The rows of the registry change when everything stands at the target and
/// before the source goes; only what can be moved by renaming alone stands at one side then.
[[nodiscard]] Result<cache::MoveReport> move(Work const& work, PlannedMove const& planned);
[[nodiscard]] json::object to_json(PlannedMove const& planned, cache::MoveReport const& report);

[[nodiscard]] Result<Answer> run(Work const& work, MvChoice const& choice);

}  // namespace homelab::care
