#include "snapshot_fetcher.h"

#include <fmt/format.h>

#include "base/log.h"
#include "local.h"

namespace homelab::hub {
namespace {

using Found = Result<std::optional<ReadySnapshot>>;

/// The hub folder of the request first, then the others of its root.
template <class Look>
Found look_everywhere(DownloadRequest const& request, Look const& look) {
  ASSIGN_OR_RETURN(auto found, look(request.hub_folder));
  if (found) return found;
  for (auto const& folder : request.also_look_in) {
    if (folder == request.hub_folder) continue;
    // A second place that cannot be read is no reason to fail: it was only worth a look.
    if (auto other = look(folder); other && *other) return other;
  }
  return std::nullopt;
}

Found look_for_revision(DownloadRequest const& request, Completeness completeness) {
  return look_everywhere(request, [&](cache::Path const& folder) {
    return find_local(folder, request.model, completeness);
  });
}

Found look_for_commit(DownloadRequest const& request, cache::CommitHash const& commit) {
  return look_everywhere(request, [&](cache::Path const& folder) {
    return find_local_commit(folder, request.model, commit, Completeness::kPlanned);
  });
}

bool hub_is_away(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded;
}

Result<cache::Tree> tree_of(SnapshotTools const& tools, DownloadRequest const& request,
                            cache::CommitHash const& commit) {
  cache::RepoFolder const folder(request.hub_folder, request.model.repo);
  if (auto stored = folder.read_tree(commit); stored && *stored) return std::move(**stored);
  return tools.api.tree(request.model.repo, commit, request.cancelled);
}

Result<Plan> plan_for(DownloadRequest const& request, cache::Tree const& tree) {
  if (request.everything) return plan_everything(tree, request.model.variant);
  auto plan = plan_files(tree, request.model.variant);
  if (!plan) return fail(std::move(plan.error()).in(request.model.repo.text()));
  return plan;
}

Result<std::vector<cache::RepoWriter::Link>> links_of(Plan const& plan) {
  std::vector<cache::RepoWriter::Link> links;
  for (auto const& file : plan.files) {
    ASSIGN_OR_RETURN(auto name, file.blob_name());
    links.push_back({file.path, std::move(name)});
  }
  return links;
}

Result<ReadySnapshot> fetch_commit(SnapshotTools const& tools, DownloadRequest const& request,
                                   cache::CommitHash const& commit) {
  ASSIGN_OR_RETURN(auto const tree, tree_of(tools, request, commit));
  ASSIGN_OR_RETURN(auto const plan, plan_for(request, tree));
  ASSIGN_OR_RETURN(auto const links, links_of(plan));
  ASSIGN_OR_RETURN(auto const writer,
                   cache::RepoWriter::open(request.hub_folder, request.model.repo));
  auto ready = make_ready(commit, writer.folder().snapshot_path(commit), plan);
  {
    BlobFetcher fetcher({tools.client, tools.api, writer, commit, tools.options, tools.machinery(),
                         request.cancelled, request.on_progress});
    RETURN_IF_ERROR(fetcher.run(plan.files));
    ready.downloaded_bytes = fetcher.downloaded_bytes();
  }
  RETURN_IF_ERROR(writer.link_all(commit, links));
  RETURN_IF_ERROR(writer.write_tree(commit, tree));
  RETURN_IF_ERROR(writer.write_ref(request.model.revision, commit));
  return ready;
}

/// The Hub could not tell the commit: what is on the disk is used if a model can be loaded from it.
Result<ReadySnapshot> fall_back(DownloadRequest const& request, Error const& error) {
  if (!hub_is_away(error.code) || request.everything) return fail(error);
  ASSIGN_OR_RETURN(auto found, look_for_revision(request, Completeness::kLoadable));
  if (!found) return fail(error);
  logger("hub")->warn("{}; using the copy on the disk", error.message);
  return std::move(*found);
}

/// kNotFound: the revision is not known here, or the Hub has that commit no more.
Result<ReadySnapshot> complete_known_commit(SnapshotTools const& tools,
                                            DownloadRequest const& request) {
  auto const known =
      cache::RepoFolder(request.hub_folder, request.model.repo).read_ref(request.model.revision);
  // A broken ref is as good as none; the download writes it anew.
  if (!known) return fail(Code::kNotFound, known.error().message);
  auto ready = fetch_commit(tools, request, *known);
  if (!ready) return fall_back(request, ready.error());
  return ready;
}

Result<ReadySnapshot> fetch_newest(SnapshotTools const& tools, DownloadRequest const& request) {
  auto const& model = request.model;
  auto const commit = tools.api.commit_of(model.repo, model.revision, request.cancelled);
  if (!commit) return fall_back(request, commit.error());
  if (!request.everything) {
    ASSIGN_OR_RETURN(auto found, look_for_commit(request, *commit));
    if (found) {
      ASSIGN_OR_RETURN(auto const writer, cache::RepoWriter::open(request.hub_folder, model.repo));
      bool const is_here = found->folder == writer.folder().snapshot_path(*commit);
      if (is_here) RETURN_IF_ERROR(writer.write_ref(model.revision, *commit));
      return std::move(*found);
    }
  }
  auto ready = fetch_commit(tools, request, *commit);
  if (!ready) return fall_back(request, ready.error());
  return ready;
}

}  // namespace

Result<ReadySnapshot> fetch_snapshot(SnapshotTools const& tools, DownloadRequest const& request) {
  if (!request.refresh && !request.everything) {
    ASSIGN_OR_RETURN(auto found, look_for_revision(request, Completeness::kPlanned));
    if (found) return std::move(*found);
  }
  if (!request.refresh) {
    // Something is missing: it is fetched at the commit that is here. Only who asks for it is moved
    // to a newer one.
    auto completed = complete_known_commit(tools, request);
    if (completed || completed.error().code != Code::kNotFound) return completed;
  }
  return fetch_newest(tools, request);
}

}  // namespace homelab::hub
