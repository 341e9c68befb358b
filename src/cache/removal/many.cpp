// Plans for more than one repository.
#include <fmt/format.h>

#include "cache/removal.h"

namespace homelab::cache {

Proposal merged(Proposal one, Proposal const& other) {
  RemovalWish& wish = one.wish;
  RemovalWish const& more = other.wish;
  wish.everything = wish.everything || more.everything;
  wish.folder_if_empty = wish.folder_if_empty || more.folder_if_empty;
  wish.revisions.insert(more.revisions.begin(), more.revisions.end());
  for (auto const& [commit, files] : more.files)
    wish.files[commit].insert(files.begin(), files.end());
  wish.refs.insert(more.refs.begin(), more.refs.end());
  wish.blobs.insert(more.blobs.begin(), more.blobs.end());
  wish.leftovers.insert(more.leftovers.begin(), more.leftovers.end());
  wish.listings.insert(more.listings.begin(), more.listings.end());
  one.kept.insert(one.kept.end(), other.kept.begin(), other.kept.end());
  return one;
}

Result<std::vector<RemovalPlan>> plan_hub(Path const& hub_folder, Propose const& propose,
                                          std::span<Need const> needs, bool force) {
  std::vector<RemovalPlan> plans;
  auto const visit = [&](RepoScan&& scan) -> Status {
    DiskFacts const facts = look_up(hub_folder, scan.folder.filename().string());
    Proposal const proposal = propose(scan, facts);
    if (proposal.wish.empty() && proposal.kept.empty()) return {};
    plans.push_back(plan_removal(scan, proposal, needs, facts, force));
    return {};
  };
  RETURN_IF_ERROR(scan_hub(hub_folder, visit));
  return plans;
}

namespace {

class TargetPlanner {
 public:
  TargetPlanner(std::span<RemovalTarget const> targets, std::span<Need const> needs, bool force)
      : targets_(targets), needs_(needs), force_(force), found_(targets.size(), false) {}

  Status look_in(Path const& hub, std::string const& folder) {
    std::error_code unreadable;
    // Another name of a repository elsewhere (a bridged root): it is planned where it stands.
    if (std::filesystem::is_symlink(hub / folder, unreadable)) return {};
    auto const scan = scan_repo(hub / folder);
    if (!scan && scan.error().code == Code::kNotFound) return {};
    if (!scan) return fail(scan.error());
    Proposal all;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (targets_[i].folder_name() != folder) continue;
      auto const proposal = propose_rm(*scan, targets_[i]);
      if (!proposal && proposal.error().code != Code::kNotFound) return fail(proposal.error());
      if (proposal) all = merged(std::move(all), *proposal);
      if (!proposal) missing_ = proposal.error();
      found_[i] = found_[i] || proposal.has_value();
    }
    if (!all.wish.empty())
      plans_.push_back(plan_removal(*scan, all, needs_, look_up(hub, folder), force_));
    return {};
  }

  Result<std::vector<RemovalPlan>> finish() && {
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (found_[i]) continue;
      if (missing_) return fail(*std::move(missing_));
      return fail(Code::kNotFound, fmt::format("{} {} is in none of the cache folders",
                                               to_string(targets_[i].type), targets_[i].id));
    }
    return std::move(plans_);
  }

 private:
  std::span<RemovalTarget const> targets_;
  std::span<Need const> needs_;
  bool force_;
  std::vector<bool> found_;
  std::optional<Error> missing_;
  std::vector<RemovalPlan> plans_;
};

}  // namespace

Result<std::vector<RemovalPlan>> plan_targets(std::span<Path const> hub_folders,
                                              std::span<RemovalTarget const> targets,
                                              std::span<Need const> needs, bool force) {
  TargetPlanner planner(targets, needs, force);
  std::set<std::string> folders;
  for (RemovalTarget const& target : targets) folders.insert(target.folder_name());
  for (Path const& hub : hub_folders)
    for (std::string const& folder : folders) RETURN_IF_ERROR(planner.look_in(hub, folder));
  return std::move(planner).finish();
}

}  // namespace homelab::cache
