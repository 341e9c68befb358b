#include "care/update_plan.h"

#include <algorithm>
#include <set>

#include "base/strings.h"

namespace homelab::care {
namespace {

bool is_same_ref(UpdateGroup const& group, cache::Path const& hub,
                 cache::ModelReference const& model) {
  return group.hub_folder == hub && group.model().repo == model.repo &&
         group.model().revision == model.revision;
}

void add_row(UpdatePlan& plan, cache::Locations const& locations, RegisteredModel const& row) {
  if (is_local_path(row.hf_path)) {
    plan.others.push_back({row.name, "a local file or folder; it has no revisions"});
    return;
  }
  auto const model = cache::ModelReference::parse(row.hf_path);
  auto const kind = cache::parse_location_kind(row.location);
  if (!model || !kind) {
    plan.others.push_back({row.name, model ? "its location is not known" : model.error().message});
    return;
  }
  if (model->revision.is_commit()) {
    plan.others.push_back({row.name, "registered at a fixed commit"});
    return;
  }
  auto const resolved = locations.resolve(*kind, row.cache_path);
  auto const& hub = resolved.hub.path;
  auto const found = std::ranges::find_if(
      plan.groups, [&](UpdateGroup const& group) { return is_same_ref(group, hub, *model); });
  if (found != plan.groups.end()) {
    found->members.push_back({row.name, *model});
  } else {
    plan.groups.push_back({*kind, resolved.root, hub, {{row.name, *model}}});
  }
}

std::vector<std::string> names_of(std::vector<RegisteredModel> const& rows) {
  std::vector<std::string> names;
  for (auto const& row : rows) names.push_back(row.name);
  return names;
}

}  // namespace

std::string UpdateGroup::names() const {
  std::string text;
  for (auto const& member : members) text += (text.empty() ? "" : ", ") + member.name;
  return text;
}

Result<UpdatePlan> plan_update(cache::Locations const& locations,
                               std::vector<RegisteredModel> const& rows,
                               std::vector<std::string> const& names) {
  UpdatePlan plan;
  for (auto const& row : rows) add_row(plan, locations, row);
  if (names.empty()) return plan;
  std::set<std::string> wanted;
  for (auto const& name : names) {
    auto const named = [&](RegisteredModel const& row) { return row.name == trim(name); };
    auto const found = std::ranges::find_if(rows, named);
    if (found == rows.end()) return fail(no_model_named(name, names_of(rows)));
    wanted.insert(found->name);
  }
  std::erase_if(plan.groups, [&](UpdateGroup const& group) {
    return std::ranges::none_of(group.members,
                                [&](auto const& member) { return wanted.contains(member.name); });
  });
  std::erase_if(plan.others,
                [&](NotUpdatable const& other) { return !wanted.contains(other.name); });
  return plan;
}

}  // namespace homelab::care
