#pragma once
// A repository into another cache: `cache mv`.
#include <string>

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
  bool needless = false;  ///< it is there already, and nowhere else
};
/// Changes nothing. kFailedPrecondition when a registered model would not find its files any more,
/// unless forced.
[[nodiscard]] Result<PlannedMove> plan(Work const& work, MvChoice const& choice);
/// See cache::move_repo.
[[nodiscard]] Result<cache::MoveReport> move(Work const& work, PlannedMove const& planned);
[[nodiscard]] json::object to_json(PlannedMove const& planned, cache::MoveReport const& report);

[[nodiscard]] Result<Answer> run(Work const& work, MvChoice const& choice);

}  // namespace homelab::care
