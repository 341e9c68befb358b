#include "hub/update.h"

#include <fmt/format.h>

#include "cache/blob_writer.h"
#include "cache/revision_switch.h"
#include "hub/plan.h"

namespace homelab::hub {
namespace {

cache::ModelReference at_commit(cache::ModelReference const& model,
                                cache::CommitHash const& commit) {
  cache::ModelReference fixed = model;
  fixed.revision = cache::Revision::parse(commit.text()).value();
  return fixed;
}

Result<bool> is_complete(UpdateQuestion const& question, cache::CommitHash const& commit) {
  ASSIGN_OR_RETURN(auto const found,
                   find_local(question.hub_folder, at_commit(question.model, commit)));
  return found.has_value();
}

Status check_movable(UpdateQuestion const& question) {
  if (!question.model.revision.is_commit()) return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("{} is registered at the fixed commit {}; register it with a branch or "
                          "tag to update it",
                          question.model.repo.text(), question.model.revision.text()));
}

bool has_blob(cache::RepoFolder const& folder, cache::TreeFile const& file) {
  auto const name = file.blob_name();
  if (!name) return false;
  std::error_code absent;
  auto const size = std::filesystem::file_size(folder.blob_path(*name), absent);
  return !absent && size == file.size_bytes;
}

Result<cache::Tree> listing_of(HubApi const& api, cache::RepoFolder const& folder,
                               cache::CommitHash const& commit, Cancelled const& cancelled) {
  if (auto stored = folder.read_tree(commit); stored && *stored) return std::move(**stored);
  return api.tree(folder.id(), commit, cancelled);
}

/// Other commits that the model could be loaded from, for a message.
std::string complete_commits(UpdateQuestion const& question, cache::CommitHash const& except) {
  std::string list;
  auto const commits = cache::RepoFolder(question.hub_folder, question.model.repo).commits();
  if (!commits) return list;
  for (auto const& commit : *commits) {
    auto const complete = is_complete(question, commit);
    if (commit != except && complete && *complete)
      list += (list.empty() ? "" : ", ") + commit.text();
  }
  return list;
}

}  // namespace

std::uint64_t UpdateAnswer::bytes_to_come() const {
  std::uint64_t sum = 0;
  for (auto const& file : to_come) sum += file.size_bytes;
  return sum;
}

Result<UpdateAnswer> look_for_update(HubApi const& api, UpdateQuestion const& question,
                                     Cancelled const& cancelled) {
  RETURN_IF_ERROR(check_movable(question));
  cache::RepoFolder const folder(question.hub_folder, question.model.repo);
  auto const& revision = question.wanted.value_or(question.model.revision);
  ASSIGN_OR_RETURN(auto target, api.commit_of(question.model.repo, revision, cancelled));
  UpdateAnswer answer{std::nullopt, false, target, false, {}, 0};
  if (auto current = folder.read_ref(question.model.revision)) {
    ASSIGN_OR_RETURN(answer.current_complete, is_complete(question, *current));
    answer.current = std::move(*current);
  } else if (auto const code = current.error().code;
             code != Code::kNotFound && code != Code::kDataLoss) {
    // What cannot be read may well be there; a broken ref (data loss) is written anew.
    return fail(std::move(current).error());
  }
  ASSIGN_OR_RETURN(auto const ready,
                   find_local(question.hub_folder, at_commit(question.model, target)));
  if (ready) {
    answer.target_complete = true;
    answer.total_bytes = ready->total_bytes;
    return answer;
  }
  ASSIGN_OR_RETURN(auto const tree, listing_of(api, folder, target, cancelled));
  auto plan = plan_files(tree, question.model.variant);
  if (!plan) return fail(std::move(plan.error()).in(question.model.repo.text()));
  answer.total_bytes = plan->total_bytes();
  for (auto const& file : plan->files)
    if (!has_blob(folder, file)) answer.to_come.push_back(file);
  return answer;
}

Result<ReadySnapshot> stage_update(Downloader& downloader, UpdateQuestion const& question,
                                   cache::CommitHash const& target,
                                   std::function<void(Progress const&)> on_progress,
                                   Cancelled cancelled) {
  RETURN_IF_ERROR(check_movable(question));
  // A commit has no ref, so none is written; only this folder counts, the ref will be in it.
  return downloader.ensure({question.hub_folder,
                            {},
                            at_commit(question.model, target),
                            false,
                            false,
                            std::move(on_progress),
                            std::move(cancelled)});
}

Status switch_to(UpdateQuestion const& question, cache::CommitHash const& target) {
  RETURN_IF_ERROR(check_movable(question));
  ASSIGN_OR_RETURN(bool const complete, is_complete(question, target));
  if (!complete)
    return fail(Code::kFailedPrecondition,
                fmt::format("{} is not complete at {}; nothing was switched",
                            question.model.repo.text(), target.text()));
  ASSIGN_OR_RETURN(auto const writer,
                   cache::RepoWriter::open(question.hub_folder, question.model.repo));
  return cache::switch_revision(writer, question.model.revision, target);
}

Result<cache::CommitHash> rollback_target(UpdateQuestion const& question) {
  RETURN_IF_ERROR(check_movable(question));
  cache::RepoFolder const folder(question.hub_folder, question.model.repo);
  ASSIGN_OR_RETURN(auto const now, folder.read_ref(question.model.revision));
  ASSIGN_OR_RETURN(auto const before, cache::commit_before(folder, question.model.revision));
  bool complete = false;
  if (before) {
    ASSIGN_OR_RETURN(complete, is_complete(question, *before));
  }
  if (complete) return *before;
  auto const others = complete_commits(question, now);
  std::string const what =
      before ? fmt::format("the commit before, {}, is not complete any more", before->text())
             : fmt::format("where {} stood before {} is not known", question.model.revision.text(),
                           now.text());
  return fail(Code::kNotFound,
              fmt::format("{}: {}; {}", question.model.repo.text(), what,
                          others.empty() ? "no other commit of it is complete in the cache"
                                         : "--to COMMIT can go to: " + others));
}

Result<cache::CommitHash> roll_back(UpdateQuestion const& question) {
  RETURN_IF_ERROR(rollback_target(question));
  ASSIGN_OR_RETURN(auto const writer,
                   cache::RepoWriter::open(question.hub_folder, question.model.repo));
  return cache::switch_back(writer, question.model.revision);
}

Result<PruneAnswer> keep_newest(UpdateQuestion const& question, std::size_t keep,
                                std::span<cache::Need const> needs, bool dry_run,
                                Cancelled const& cancelled) {
  cache::RepoFolder const folder(question.hub_folder, question.model.repo);
  ASSIGN_OR_RETURN(auto const scan, cache::scan_repo(folder.path()));
  auto const proposal = cache::propose_prune(scan, keep);
  auto const plan = cache::plan_removal(
      scan, proposal, needs, cache::look_up(question.hub_folder, folder.id().folder_name()), false);
  PruneAnswer answer;
  answer.kept = plan.refused;
  for (auto const& item : plan.items)
    answer.revisions += item.kind == cache::RemovalKind::kSnapshot ? 1 : 0;
  answer.freed_bytes = plan.frees_bytes();
  if (dry_run || plan.items.empty()) return answer;
  // Not into the trash: the space is wanted, and an old revision can be downloaded again.
  ASSIGN_OR_RETURN(auto const report,
                   cache::execute_removal(plan, {false, "update --keep", cancelled}));
  answer.freed_bytes = report.freed_bytes;
  answer.kept.insert(answer.kept.end(), report.skipped.begin(), report.skipped.end());
  return answer;
}

}  // namespace homelab::hub
