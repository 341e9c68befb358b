#pragma once
// Which refs an update moves, and for whom. Pure.
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/locations.h"
#include "care/work.h"

namespace homelab::care {

/// Registered models whose files come from one ref of one repository folder: the ref can only move
/// for all of them.
struct UpdateGroup {
  struct Member {
    std::string name;
    cache::ModelReference model;
  };
  cache::LocationKind kind = cache::LocationKind::kPrimary;
  cache::Path root;
  cache::Path hub_folder;
  std::vector<Member> members;  ///< in the order of registration
  [[nodiscard]] cache::ModelReference const& model() const { return members.front().model; }
  [[nodiscard]] std::string names() const;  ///< "a, b"
};

/// A registered model that has no revision to update.
struct NotUpdatable {
  std::string name;
  std::string why;
};

struct UpdatePlan {
  std::vector<UpdateGroup> groups;
  std::vector<NotUpdatable> others;
};
/// `names` empty = all. kNotFound for a name that is not registered. A group that is wanted for one
/// of its members has all of them.
[[nodiscard]] Result<UpdatePlan> plan_update(cache::Locations const& locations,
                                             std::vector<RegisteredModel> const& rows,
                                             std::vector<std::string> const& names);

}  // namespace homelab::care
