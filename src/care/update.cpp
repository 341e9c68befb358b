#include "care/update.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "care/download.h"
#include "care/printable.h"
#include "care/room.h"
#include "update_answers.h"

namespace homelab::care {
namespace {

class Updater {
 public:
  Updater(Work const& work, UpdateChoice const& choice, std::optional<cache::Revision> wanted,
          std::vector<cache::Need> needs)
      : work_(work),
        choice_(choice),
        api_(work.hub->client, work.hub->options),
        wanted_(std::move(wanted)),
        needs_(std::move(needs)) {}

  UpdatedRef run(UpdateGroup const& group) {
    UpdatedRef row;
    row.group = group;
    auto done = choice_.rollback ? roll_back(group, row) : update(group, row);
    // Before a switch nobody can say which revisions will be old ones.
    bool const settled = row.state != "not_downloaded" && row.state != "available";
    if (done && choice_.keep && settled) done = prune(group, row);
    if (!done) {
      row.state = "failed";
      row.error = done.error();
    }
    return row;
  }

 private:
  [[nodiscard]] hub::UpdateQuestion question(UpdateGroup const& group,
                                             UpdateGroup::Member const& member) const {
    return {group.hub_folder, member.model, wanted_};
  }

  Status update(UpdateGroup const& group, UpdatedRef& row) {
    ASSIGN_OR_RETURN(auto const members, look(group, row));
    if (row.state == "not_downloaded") return {};
    bool const move = row.before != row.commit;
    row.state = move ? "available" : "current";
    if (!move || choice_.check || choice_.dry_run) return {};
    RETURN_IF_ERROR(check_quota(group, row));
    for (auto const& member : members) RETURN_IF_ERROR(stage(member, *row.commit, row));
    // Only now, when every model that uses the ref is complete at its new place.
    RETURN_IF_ERROR(hub::switch_to(members.front(), *row.commit));
    row.state = "updated";
    return {};
  }

  /// Fills in what would come; gives the members that have files here. Those that were never
  /// downloaded are left to their first load.
  Result<std::vector<hub::UpdateQuestion>> look(UpdateGroup const& group, UpdatedRef& row) {
    std::vector<hub::UpdateQuestion> present;
    std::vector<std::string> counted;
    for (auto const& member : group.members) {
      auto asked = question(group, member);
      ASSIGN_OR_RETURN(auto const answer, hub::look_for_update(api_, asked, work_.stopped));
      row.before = answer.current;
      row.commit = answer.target;
      if (!answer.current_complete) continue;
      row.total_bytes += answer.total_bytes;
      for (auto const& file : answer.to_come) {
        if (std::ranges::find(counted, file.path.text()) != counted.end()) continue;
        counted.push_back(file.path.text());
        ++row.files;
        row.bytes += file.size_bytes;
      }
      present.push_back(std::move(asked));
    }
    if (present.empty()) row.state = "not_downloaded";
    return present;
  }

  Status check_quota(UpdateGroup const& group, UpdatedRef const& row) const {
    ChosenLocation const place{group.kind,
                               work_.locations.resolve(group.kind, group.root.string())};
    auto const room = make_room_in(work_.locations, place, row.bytes);
    if (room) return {};
    return fail(Error(room.error()).in(human_bytes(row.bytes) + " to download"));
  }

  Status stage(hub::UpdateQuestion const& asked, cache::CommitHash const& target, UpdatedRef& row) {
    auto const ready = hub::stage_update(
        work_.hub->downloader, asked, target,
        [&](hub::Progress const& progress) {
          show_download(work_, progress, asked.model.repo.text());
        },
        work_.stopped);
    if (!ready && work_.stopped())
      return fail(Code::kCancelled, "stopped; nothing was switched, run again to continue");
    RETURN_IF_ERROR(ready);
    row.downloaded_bytes += ready->downloaded_bytes;
    return {};
  }

  Status roll_back(UpdateGroup const& group, UpdatedRef& row) const {
    auto const asked = question(group, group.members.front());
    ASSIGN_OR_RETURN(
        row.before,
        cache::RepoFolder(group.hub_folder, asked.model.repo).read_ref(asked.model.revision));
    ASSIGN_OR_RETURN(row.commit, hub::rollback_target(asked));
    row.state = "available";
    if (choice_.dry_run) return {};
    ASSIGN_OR_RETURN(row.commit, hub::roll_back(asked));
    row.state = "rolled_back";
    return {};
  }

  Status prune(UpdateGroup const& group, UpdatedRef& row) const {
    ASSIGN_OR_RETURN(row.pruned,
                     hub::keep_newest(question(group, group.members.front()), *choice_.keep, needs_,
                                      choice_.dry_run, work_.stopped));
    return {};
  }

  Work const& work_;
  UpdateChoice const& choice_;
  hub::HubApi api_;
  std::optional<cache::Revision> wanted_;
  std::vector<cache::Need> needs_;
};

json::value value_or_null(std::optional<cache::CommitHash> const& commit) {
  return commit ? json::value(commit->text()) : json::value(nullptr);
}

json::object to_json(UpdatedRef const& row) {
  json::array names;
  for (auto const& member : row.group.members) names.emplace_back(member.name);
  auto const& model = row.group.model();
  json::object value{{"models", std::move(names)},
                     {"repo", model.repo.text()},
                     {"revision", model.revision.text()},
                     {"location", to_string(row.group.kind)},
                     {"hub_folder", json_text(row.group.hub_folder.string())},
                     {"state", row.state},
                     {"local_commit", value_or_null(row.before)},
                     {"target_commit", value_or_null(row.commit)},
                     {"update_available", row.state == "available"},
                     {"files_to_download", row.files},
                     {"bytes_to_download", row.bytes},
                     {"total_bytes", row.total_bytes},
                     {"downloaded_bytes", row.downloaded_bytes}};
  if (row.pruned) {
    value["pruned_revisions"] = row.pruned->revisions;
    value["freed_bytes"] = row.pruned->freed_bytes;
  }
  if (row.error)
    value["error"] = json::object{{"code", to_string(row.error->code)},
                                  {"message", json_text(row.error->message)}};
  return value;
}

}  // namespace

bool Updated::complete() const {
  return std::ranges::none_of(rows, [](UpdatedRef const& row) { return row.error.has_value(); });
}

Result<Updated> update(Work const& work, UpdateChoice const& choice) {
  if ((choice.to || choice.rollback) && choice.names.size() != 1)
    return fail(Code::kInvalidArgument, "--to and --rollback are for one model; name it");
  if (work.hub == nullptr)
    return fail(Code::kFailedPrecondition,
                "an update needs the Hub, and there is no way to it here");
  std::optional<cache::Revision> wanted;
  if (choice.to) {
    ASSIGN_OR_RETURN(wanted, cache::Revision::parse(*choice.to));
  }
  ASSIGN_OR_RETURN(auto const registered, work.models());
  ASSIGN_OR_RETURN(auto plan, plan_update(work.locations, registered, choice.names));
  if (!choice.names.empty() && plan.groups.empty())
    return fail(Code::kFailedPrecondition,
                fmt::format("{}: {}", plan.others.front().name, plan.others.front().why));
  // What was loaded before a ref moved is old now, unless it still runs.
  Updater updater(work, choice, std::move(wanted),
                  needs_of(work.locations, registered, NeededCommits::kOfLoaded));
  Updated out;
  out.others = std::move(plan.others);
  for (auto const& group : plan.groups) {
    if (work.stopped()) return fail(Code::kCancelled, "stopped; run again to continue");
    if (out.no_hub) {
      out.rows.push_back(not_asked(group, *out.rows.back().error));
      continue;
    }
    out.rows.push_back(updater.run(group));
    auto const& error = out.rows.back().error;
    if (!error) continue;
    out.no_hub = is_out_of_reach(work, *error);
    work.remark(out.no_hub ? no_hub_text(work, *error)
                           : fmt::format("{}: {}", group.names(), error->message));
  }
  keep_checks(work, choice, out.rows);
  return out;
}

json::array to_json(Updated const& updated) {
  json::array out;
  for (auto const& row : updated.rows) out.push_back(to_json(row));
  return out;
}

Result<Answer> run(Work const& work, UpdateChoice const& choice) {
  ASSIGN_OR_RETURN(auto const updated, update(work, choice));
  return Answer{to_json(updated), updated.complete()};
}

}  // namespace homelab::care
