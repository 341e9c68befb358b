#include "care/transfer.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "base/os/file.h"
#include "cache/removal.h"
#include "care/printable.h"
#include "care/room.h"

namespace homelab::care {
namespace {

/// The one hub folder that has the repository.
Result<cache::Path> hub_of(std::vector<cache::Path> const& hubs, std::string const& word,
                           std::string const& folder) {
  std::vector<cache::Path> found;
  std::error_code error;
  for (auto const& hub : hubs)
    if (std::filesystem::is_directory(hub / folder, error)) found.push_back(hub);
  if (found.empty())
    return fail(Code::kNotFound,
                fmt::format("{} is in none of the cache folders; see: homelab-llm cache ls", word));
  // A link is another name of a repository elsewhere.
  std::error_code differ;
  if (found.size() > 1 &&
      !std::filesystem::equivalent(found[0] / folder, found[1] / folder, differ))
    return fail(Code::kInvalidArgument,
                fmt::format("{} is in {} and in {}; say which one with --location", word,
                            found[0].string(), found[1].string()));
  return found.front();
}

Result<std::vector<cache::ExportItem>> items_of(Work const& work, ExportChoice const& choice) {
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(work.locations, choice.place));
  std::vector<cache::ExportItem> items;
  for (auto const& word : choice.repos) {
    ASSIGN_OR_RETURN(auto const target, cache::RemovalTarget::parse(word));
    if (target.file)
      return fail(Code::kInvalidArgument,
                  "cache export packs whole revisions: ORG/NAME[@REVISION]");
    ASSIGN_OR_RETURN(auto id, cache::RepoId::parse(target.id));
    ASSIGN_OR_RETURN(auto hub, hub_of(hubs, word, target.folder_name()));
    auto revision = target.revision;
    if (!revision && !choice.revision.empty()) revision = choice.revision;
    items.push_back({std::move(hub), target.type, std::move(id), std::move(revision)});
  }
  return items;
}

json::object repo_json(cache::ArchiveRepo const& repo, cache::Path const& hub_folder) {
  json::array commits;
  std::size_t files = 0;
  std::uint64_t bytes = 0;
  for (auto const& revision : repo.revisions) {
    commits.emplace_back(revision.commit.text());
    files += revision.files.size();
  }
  json::object refs;
  for (auto const& ref : repo.refs) refs[ref.name.text()] = ref.commit.text();
  for (auto const& blob : repo.blobs) bytes += blob.size_bytes;
  return {{"repo", repo.id.text()},
          {"type", to_string(repo.type)},
          {"hub_folder", json_text(hub_folder.string())},
          {"commits", std::move(commits)},
          {"refs", std::move(refs)},
          {"files", files},
          {"blobs", repo.blobs.size()},
          {"content_bytes", bytes}};
}

json::object repo_json(cache::ImportedRepo const& repo) {
  json::array commits;
  for (auto const& commit : repo.commits) commits.emplace_back(commit.text());
  json::array refs;
  for (auto const& ref : repo.refs)
    refs.push_back(json::object{
        {"name", ref.name.text()},
        {"commit", ref.commit.text()},
        {"before", ref.before ? json::value(ref.before->text()) : json::value(nullptr)}});
  return {{"repo", repo.id.text()},
          {"type", to_string(repo.type)},
          {"commits", std::move(commits)},
          {"refs", std::move(refs)},
          {"files", repo.files},
          {"content_bytes", repo.content_bytes},
          {"present_bytes", repo.present_bytes},
          {"resumed_bytes", repo.resumed_bytes},
          {"written_bytes", repo.written_bytes}};
}

}  // namespace

cache::TransferControl control_of(Work const& work, std::string what) {
  cache::TransferControl control;
  control.cancelled = work.stopped;
  control.on_progress = [&work, what = std::move(what)](std::uint64_t done, std::uint64_t total) {
    Progress progress;
    progress.what = what;
    progress.done_bytes = progress.moved_bytes = done;
    progress.total_bytes = total;
    work.on_progress(progress);
  };
  return control;
}

Result<cache::ExportPlan> plan(Work const& work, ExportChoice const& choice) {
  ASSIGN_OR_RETURN(auto const items, items_of(work, choice));
  return cache::plan_export(items, control_of(work, "Exporting"));
}

json::object to_json(ExportChoice const& choice, cache::ExportPlan const& plan) {
  json::array repos;
  for (std::size_t i = 0; i < plan.manifest.repos.size(); ++i)
    repos.push_back(repo_json(plan.manifest.repos[i], plan.hub_folders[i]));
  json::array left_out;
  for (auto const& one : plan.left_out) left_out.emplace_back(printable(one));
  return {{"file", json_text(choice.file)},      {"dry_run", choice.dry_run},
          {"archive_bytes", plan.archive_bytes}, {"content_bytes", plan.manifest.content_bytes()},
          {"repos", std::move(repos)},           {"left_out", std::move(left_out)}};
}

Result<Answer> run(Work const& work, ExportChoice const& choice) {
  ASSIGN_OR_RETURN(auto const planned, plan(work, choice));
  if (!choice.dry_run) {
    auto const written = cache::export_to_file(planned, choice.file, control_of(work, "Exporting"));
    if (!written) return fail(Error(written.error()).in("cache export to " + choice.file));
  }
  return Answer{to_json(choice, planned)};
}

Result<Imported> import(Work const& work, ImportChoice const& choice, int archive) {
  ASSIGN_OR_RETURN(auto const chosen, choose_one(work.locations, choice.place));
  cache::ImportRequest request;
  request.hub_folder = chosen.resolved.hub.path;
  request.archive = archive;
  request.shown = choice.file;
  request.move_refs = choice.force;
  request.dry_run = choice.dry_run;
  request.may_write = [&](std::uint64_t bytes) {
    return choice.dry_run ? check_room_in(work.locations, chosen, bytes)
                          : make_room_in(work.locations, chosen, bytes);
  };
  auto report = cache::import_archive(request, control_of(work, "Importing"));
  if (!report) return fail(std::move(report).error().in("cache import"));
  return Imported{std::move(request.hub_folder), *std::move(report)};
}

json::object to_json(ImportChoice const& choice, Imported const& imported) {
  json::array repos;
  std::uint64_t written = 0;
  for (auto const& repo : imported.report.repos) {
    written += repo.written_bytes;
    repos.push_back(repo_json(repo));
  }
  return {{"file", json_text(choice.file)},
          {"hub_folder", json_text(imported.hub_folder.string())},
          {"dry_run", choice.dry_run},
          {"written_bytes", written},
          {"repos", std::move(repos)}};
}

Result<Answer> run(Work const& work, ImportChoice const& choice) {
  ASSIGN_OR_RETURN(auto const opened, os::open_file(choice.file, O_RDONLY));
  ASSIGN_OR_RETURN(auto const imported, import(work, choice, opened.get()));
  return Answer{to_json(choice, imported)};
}

}  // namespace homelab::care
