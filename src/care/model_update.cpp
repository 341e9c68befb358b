#include "care/model_update.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "care/download.h"
#include "care/removal.h"
#include "care/room.h"
#include "care/update.h"

namespace homelab::care {
namespace {

/// Blobs that nothing leads to, and the revision `replaced` when no ref names it any more.
cache::Proposal garbage_of(cache::RepoScan const& scan,
                           std::optional<cache::CommitHash> const& replaced) {
  cache::Proposal garbage;
  bool const live = std::ranges::any_of(scan.leftovers, &cache::Leftover::live);
  for (auto const& blob : scan.blobs)
    if (scan.complete && !live && blob.entries == 0) garbage.wish.blobs.insert(blob.name);
  if (!replaced || !scan.refs_clear) return garbage;
  auto const old = std::ranges::find(scan.revisions, *replaced, &cache::RevisionFacts::commit);
  if (old != scan.revisions.end() && old->refs.empty()) garbage.wish.revisions.insert(*replaced);
  return garbage;
}

class ModelUpdate {
 public:
  ModelUpdate(Work const& work, ModelUpdateChoice const& choice) : work_(work), choice_(choice) {}

  Result<ModelUpdated> run() {
    ASSIGN_OR_RETURN(auto const rows, work_.models());
    auto const row = std::ranges::find(rows, choice_.name, &RegisteredModel::name);
    if (row == rows.end())
      return fail(Code::kNotFound, fmt::format("there is no model named '{}'", choice_.name));
    auto reference = cache::ModelReference::parse(row->hf_path);
    if (is_local_path(row->hf_path) || !reference) {
      if (choice_.collect_garbage)
        out_.not_collected = row->hf_path + " is no repository of the cache";
      return std::move(out_);
    }
    auto const kind = cache::parse_location_kind(row->location);
    if (!kind)
      return fail(Code::kInvalidArgument,
                  fmt::format("cache location '{}' is not known", row->location));
    ChosenLocation const place{*kind, work_.locations.resolve(*kind, row->cache_path)};
    RETURN_IF_ERROR(bring(place, *reference));
    if (work_.record_update) RETURN_IF_ERROR(work_.record_update(moved_, out_.commit->text()));
    if (choice_.collect_garbage) collect();
    return std::move(out_);
  }

 private:
  Status bring(ChosenLocation const& place, cache::ModelReference const& model) {
    hub::DownloadRequest request{
        .hub_folder = place.resolved.hub.path,
        .also_look_in = work_.locations.readable_hub_folders(place.resolved),
        .model = model,
        .on_progress = {},
        .cancelled = work_.stopped};
    moved_ = {choice_.name};
    if (!model.revision.is_commit()) RETURN_IF_ERROR(move_ref(place, request));
    request.on_progress = [&](hub::Progress const& progress) {
      show_download(work_, progress, model.repo.text());
    };
    ASSIGN_OR_RETURN(auto const ready, work_.hub->downloader.ensure(std::move(request)));
    out_.downloaded_bytes += ready.downloaded_bytes;
    if (model.revision.is_commit() && ready.downloaded_bytes == 0) out_.before = ready.commit;
    out_.commit = ready.commit;
    repo_ = ready.folder.parent_path().parent_path();
    return {};
  }

  /// All models of the ref that are here; the model itself when it is not is left to the download.
  Status move_ref(ChosenLocation const& place, hub::DownloadRequest& request) {
    UpdateChoice one;
    one.names = {choice_.name};
    ASSIGN_OR_RETURN(auto const updated, update(work_, one));
    auto const& row = updated.rows.front();
    if (row.error) return fail(*row.error);
    out_.before = row.before;
    out_.downloaded_bytes = row.downloaded_bytes;
    request.refresh = row.state == "not_downloaded";
    if (request.refresh) return make_room_in(work_.locations, place, row.bytes);
    if (row.state != "updated") return {};
    moved_.clear();
    for (auto const& member : row.group.members) moved_.push_back(member.name);
    return {};
  }

  void collect() {
    auto collected = try_collect();
    if (collected)
      out_.collected = *collected;
    else
      out_.not_collected = collected.error().message;
  }

  Result<Collected> try_collect() {
    auto const hub = repo_.parent_path();
    auto const folder = repo_.filename().string();
    RETURN_IF_ERROR(cache::check_idle(hub, folder));
    ASSIGN_OR_RETURN(auto const needs, needs_of_models(work_));
    ASSIGN_OR_RETURN(auto const scan, cache::scan_repo(repo_));
    auto const replaced = out_.before != out_.commit ? out_.before : std::nullopt;
    auto const plan = cache::plan_removal(scan, garbage_of(scan, replaced), needs,
                                          cache::look_up(hub, folder), false);
    Collected out;
    out.total_blobs = scan.blobs.size();
    if (!plan.items.empty()) {
      auto const outcome = remove(work_, {plan}, {false, "update of " + choice_.name});
      std::set<std::string> gone;
      for (auto const& report : outcome.reports)
        gone.insert(report.removed.begin(), report.removed.end());
      for (auto const& item : plan.items) {
        if (item.kind != cache::RemovalKind::kBlob || !gone.contains(item.path)) continue;
        ++out.deleted_blobs;
        out.freed_bytes += item.size_bytes;
      }
    }
    ASSIGN_OR_RETURN(auto const after, cache::scan_repo(repo_));
    out.referenced_blobs = static_cast<std::size_t>(std::ranges::count_if(
        after.blobs, [](cache::BlobFacts const& blob) { return blob.entries > 0; }));
    return out;
  }

  Work const& work_;
  ModelUpdateChoice const& choice_;
  ModelUpdated out_;
  std::vector<std::string> moved_;  ///< models whose files are at the new commit
  cache::Path repo_;
};

}  // namespace

Result<ModelUpdated> update_model(Work const& work, ModelUpdateChoice const& choice) {
  if (work.hub == nullptr)
    return fail(Code::kFailedPrecondition,
                "an update needs the Hub, and there is no way to it here");
  return ModelUpdate(work, choice).run();
}

}  // namespace homelab::care
