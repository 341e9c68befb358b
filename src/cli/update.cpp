// update: registered models to their newest revision, or back to the one before.
#include "hub/update.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "cli/settings_locations.h"
#include "commands.h"
#include "exit_code.h"
#include "http/client.h"
#include "hub_access.h"
#include "progress_printer.h"
#include "server_link.h"
#include "stop_signal.h"
#include "table.h"
#include "update_plan.h"

namespace homelab::cli {
namespace {

/// What happened, or would happen, to one ref.
struct Row {
  UpdateGroup const* group = nullptr;
  std::string
      state;  ///< "current", "available", "updated", "rolled_back", "not_downloaded", "failed"
  std::optional<cache::CommitHash> before;
  std::optional<cache::CommitHash> commit;  ///< where the ref is or would be
  std::size_t files = 0;                    ///< to come
  std::uint64_t bytes = 0;                  ///< to come
  std::uint64_t total_bytes = 0;
  std::uint64_t downloaded_bytes = 0;
  std::optional<hub::PruneAnswer> pruned;
  std::optional<Error> error;
};

class Updater {
 public:
  Updater(Context const& context, UpdateCommand const& command,
          std::optional<cache::Revision> wanted, std::vector<cache::Need> needs)
      : command_(command),
        locations_(locations_of(context.settings)),
        client_(http::Client::create(
            {.user_agent = fmt::format("homelab-llm/{}", context.hooks.version)})),
        api_(*client_, hub_options(context.settings)),
        downloader_(hub::Downloader::create(*client_, hub_options(context.settings), {})),
        wanted_(std::move(wanted)),
        needs_(std::move(needs)),
        printer_(stderr_is_terminal()) {}

  Row run(UpdateGroup const& group) {
    Row row;
    row.group = &group;
    auto done = command_.rollback ? roll_back(group, row) : update(group, row);
    printer_.finish();
    // Before a switch nobody can say which revisions will be old ones.
    bool const settled = row.state != "not_downloaded" && row.state != "available";
    if (done && command_.keep && settled) done = prune(group, row);
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

  Status update(UpdateGroup const& group, Row& row) {
    ASSIGN_OR_RETURN(auto const members, look(group, row));
    if (row.state == "not_downloaded") return {};
    bool const move = row.before != row.commit;
    row.state = move ? "available" : "current";
    if (!move || command_.check || command_.dry_run) return {};
    RETURN_IF_ERROR(check_quota(group, row));
    for (auto const& member : members) RETURN_IF_ERROR(stage(member, *row.commit, row));
    // Only now, when every model that uses the ref is complete at its new place.
    RETURN_IF_ERROR(hub::switch_to(members.front(), *row.commit));
    row.state = "updated";
    return {};
  }

  /// Fills in what would come; gives the members that have files here. Those that were never
  /// downloaded are left to their first load.
  Result<std::vector<hub::UpdateQuestion>> look(UpdateGroup const& group, Row& row) {
    std::vector<hub::UpdateQuestion> present;
    std::vector<std::string> counted;
    for (auto const& member : group.members) {
      auto asked = question(group, member);
      ASSIGN_OR_RETURN(auto const answer, hub::look_for_update(api_, asked, StopSignal::raised));
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

  Status check_quota(UpdateGroup const& group, Row const& row) const {
    auto const space =
        locations_.check_space(group.kind, static_cast<double>(row.bytes) / (1024.0 * 1024.0));
    if (row.bytes == 0 || space.sufficient) return {};
    return fail(Code::kResourceExhausted,
                fmt::format("{} to download do not fit: {}", human_bytes(row.bytes), space.reason));
  }

  Status stage(hub::UpdateQuestion const& asked, cache::CommitHash const& target, Row& row) {
    auto const ready = hub::stage_update(
        *downloader_, asked, target,
        [&](hub::Progress const& progress) {
          show_progress(printer_, progress, asked.model.repo.text());
        },
        StopSignal::raised);
    if (!ready && StopSignal::raised())
      return fail(Code::kCancelled, "stopped; nothing was switched, run again to continue");
    RETURN_IF_ERROR(ready);
    row.downloaded_bytes += ready->downloaded_bytes;
    return {};
  }

  Status roll_back(UpdateGroup const& group, Row& row) const {
    auto const asked = question(group, group.members.front());
    ASSIGN_OR_RETURN(
        row.before,
        cache::RepoFolder(group.hub_folder, asked.model.repo).read_ref(asked.model.revision));
    ASSIGN_OR_RETURN(row.commit, hub::rollback_target(asked));
    row.state = "available";
    if (command_.dry_run) return {};
    ASSIGN_OR_RETURN(row.commit, hub::roll_back(asked));
    row.state = "rolled_back";
    return {};
  }

  Status prune(UpdateGroup const& group, Row& row) const {
    ASSIGN_OR_RETURN(
        row.pruned, hub::keep_newest(question(group, group.members.front()), *command_.keep, needs_,
                                     command_.dry_run, StopSignal::raised));
    return {};
  }

  UpdateCommand const& command_;
  cache::Locations locations_;
  std::unique_ptr<http::Client> client_;
  hub::HubApi api_;
  std::unique_ptr<hub::Downloader> downloader_;
  std::optional<cache::Revision> wanted_;
  std::vector<cache::Need> needs_;
  ProgressPrinter printer_;
};

/// Every registered model needs what its ref says; the one that is loaded also the commit it was
/// loaded from, until it is loaded anew.
std::vector<cache::Need> needs_of(cache::Locations const& locations,
                                  std::vector<ModelRow> const& rows, std::string const& loaded) {
  std::vector<cache::Need> needs;
  for (auto const& row : rows) {
    auto const model = cache::ModelReference::parse(row.hf_path);
    if (is_local_path(row.hf_path) || !model) {
      needs.push_back({row.hf_path, std::nullopt, std::nullopt, "registered as " + row.name});
      continue;
    }
    auto const kind = cache::parse_location_kind(row.location);
    auto const resolved =
        locations.resolve(kind.value_or(cache::LocationKind::kCustom), row.cache_path);
    cache::Need need{cache::RepoFolder(resolved.hub.path, model->repo).path(),
                     model->revision.text(), std::nullopt, "registered as " + row.name};
    if (row.name == loaded) {
      auto commit = cache::CommitHash::parse(get_string(row.raw, "current_commit").value_or(""));
      if (commit) need.commit = std::move(*commit);
      need.why = "loaded as " + row.name;
    }
    needs.push_back(std::move(need));
  }
  return needs;
}

std::string short_commit(std::optional<cache::CommitHash> const& commit) {
  return commit ? commit->text().substr(0, 8) : "-";
}

std::string state_text(Row const& row, bool rollback) {
  if (row.state == "current") return "up to date";
  if (row.state == "available") return rollback ? "would go back" : "update available";
  if (row.state == "rolled_back") return "rolled back";
  if (row.state == "not_downloaded") return "not downloaded yet";
  return row.state;
}

std::string table_of(std::vector<Row> const& rows, bool rollback) {
  Table table({{"MODEL"},
               {"REPOSITORY"},
               {"REVISION"},
               {"NOW"},
               {rollback ? "BEFORE" : "NEWEST"},
               {"STATE"},
               {"FILES", Align::kRight},
               {"TO DOWNLOAD", Align::kRight}});
  for (auto const& row : rows) {
    auto const& model = row.group->model();
    bool const moved = row.state == "updated" || row.state == "rolled_back";
    table.add({row.group->names(), model.repo.text(), model.revision.text(),
               short_commit(moved ? row.commit : row.before),
               short_commit(moved && rollback ? row.before : row.commit), state_text(row, rollback),
               moved ? "" : std::to_string(row.files), moved ? "" : human_bytes(row.bytes)});
  }
  return table.empty() ? "" : table.render();
}

std::string pruned_text(Row const& row, bool dry_run) {
  std::string text = fmt::format(
      "{}: {} older revisions {}, {} freed\n", printable(row.group->names()), row.pruned->revisions,
      dry_run ? "would go" : "are gone", human_bytes(row.pruned->freed_bytes));
  for (auto const& kept : row.pruned->kept)
    text += fmt::format("  {} stays: {}\n", printable(kept.path), printable(kept.why));
  return text;
}

std::string text_of(std::vector<Row> const& rows, UpdatePlan const& plan,
                    UpdateCommand const& command) {
  std::string text = table_of(rows, command.rollback);
  for (auto const& other : plan.others)
    text += fmt::format("{}: {}\n", printable(other.name), printable(other.why));
  for (auto const& row : rows) {
    if (row.state == "updated")
      text += fmt::format("{}: {} downloaded; the next load takes the new revision\n",
                          printable(row.group->names()), human_bytes(row.downloaded_bytes));
    if (row.pruned) text += pruned_text(row, command.dry_run);
  }
  return text.empty() ? "no model is registered\n" : text;
}

json::value value_or_null(std::optional<cache::CommitHash> const& commit) {
  return commit ? json::value(commit->text()) : json::value(nullptr);
}

json::object to_json(Row const& row) {
  json::array names;
  for (auto const& member : row.group->members) names.emplace_back(member.name);
  auto const& model = row.group->model();
  json::object value{{"models", std::move(names)},
                     {"repo", model.repo.text()},
                     {"revision", model.revision.text()},
                     {"location", to_string(row.group->kind)},
                     {"hub_folder", row.group->hub_folder.string()},
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
    value["error"] =
        json::object{{"code", to_string(row.error->code)}, {"message", row.error->message}};
  return value;
}

}  // namespace

Outcome execute(Context const& context, UpdateCommand const& command) {
  if ((command.to || command.rollback) && command.names.size() != 1)
    return fail(Code::kInvalidArgument, "--to and --rollback are for one model; name it");
  std::optional<cache::Revision> wanted;
  if (command.to) {
    ASSIGN_OR_RETURN(wanted, cache::Revision::parse(*command.to));
  }
  StopSignal const stop;
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  ASSIGN_OR_RETURN(auto const registered, list_models(link.api()));
  ASSIGN_OR_RETURN(auto const status, link.api().get("/api/status"));
  auto const* object = status.if_object();
  if (object == nullptr)
    return fail(Code::kDataLoss, "the server's status is no object; nobody knows what is loaded");
  auto const loaded = get_string(*object, "loaded_model").value_or("");
  ASSIGN_OR_RETURN(auto const plan,
                   plan_update(locations_of(context.settings), registered, command.names));
  if (!command.names.empty() && plan.groups.empty())
    return fail(Code::kFailedPrecondition,
                fmt::format("{}: {}", plan.others.front().name, plan.others.front().why));
  Updater updater(context, command, std::move(wanted),
                  needs_of(locations_of(context.settings), registered, loaded));
  std::vector<Row> rows;
  bool failed = false;
  for (auto const& group : plan.groups) {
    if (StopSignal::raised()) return fail(Code::kCancelled, "stopped; run again to continue");
    rows.push_back(updater.run(group));
    if (!rows.back().error) continue;
    failed = true;
    context.out.remark(fmt::format("{}: {}", group.names(), rows.back().error->message));
  }
  json::array values;
  for (auto const& row : rows) values.push_back(to_json(row));
  context.out.text(text_of(rows, plan, command));
  context.out.value(values);
  return failed ? kExitFailed : kExitDone;
}

}  // namespace homelab::cli
