#include <optional>

#include "care/printable.h"
#include "care/sharing.h"

namespace homelab::care {
namespace {

/// One model's failure does not end the others; a stop does.
Status note(Adopted& adopted, Result<cache::AdoptReport> report) {
  if (report) {
    adopted.reports.push_back(*std::move(report));
    return {};
  }
  if (report.error().code == Code::kCancelled) return fail(report.error());
  adopted.problems.push_back(report.error().message);
  return {};
}

Status adopt_source(cache::Path const& hub, std::string const& source,
                    std::optional<cache::RepoId> const& as, cache::AdoptOptions const& options,
                    Adopted& adopted) {
  ASSIGN_OR_RETURN(auto const found, cache::recognise_source(absolute_path(source), as));
  adopted.remarks.insert(adopted.remarks.end(), found.remarks.begin(), found.remarks.end());
  for (auto const& model : found.models)
    RETURN_IF_ERROR(note(adopted, cache::adopt_model(hub, model, options)));
  for (auto const& repo : found.repos)
    RETURN_IF_ERROR(note(adopted, cache::adopt_repo(hub, found.hub_folder, repo, options)));
  return {};
}

/// Scripts with cache_dir=<root> of a bridged root see what is new, too.
Status show_to_both(cache::Locations::Resolved const& place, Adopted const& adopted) {
  if (place.hub.path != place.root / "hub") return {};
  for (auto const& report : adopted.reports)
    RETURN_IF_ERROR(cache::keep_bridged(place.root, report.folder.filename().string()));
  return {};
}

json::object json_of(cache::AdoptReport const& report) {
  json::array files;
  for (auto const& file : report.files)
    files.push_back(
        json::object{{"path", file.path.text()},
                     {"source", printable(file.source.string())},
                     {"size_bytes", file.size_bytes},
                     {"blob", file.blob ? json::value(file.blob->text()) : json::value(nullptr)},
                     {"way", to_string(file.way)}});
  json::array remarks;
  for (auto const& remark : report.remarks) remarks.emplace_back(printable(remark));
  return {{"repo", printable(report.repo)},
          {"commit", report.commit ? json::value(report.commit->text()) : json::value(nullptr)},
          {"folder", printable(report.folder.string())},
          {"files", std::move(files)},
          {"adopted_bytes", report.adopted_bytes},
          {"copied_bytes", report.copied_bytes},
          {"remarks", std::move(remarks)}};
}

}  // namespace

json::object to_json(Adopted const& adopted, bool dry_run) {
  json::array models;
  for (auto const& report : adopted.reports) models.push_back(json_of(report));
  json::array problems;
  for (auto const& problem : adopted.problems) problems.emplace_back(printable(problem));
  json::array remarks;
  for (auto const& remark : adopted.remarks) remarks.emplace_back(printable(remark));
  return {{"dry_run", dry_run},
          {"models", std::move(models)},
          {"problems", std::move(problems)},
          {"remarks", std::move(remarks)}};
}

Result<Adopted> adopt(Work const& work, AdoptChoice const& choice) {
  std::optional<cache::RepoId> as;
  if (!choice.as.empty()) {
    ASSIGN_OR_RETURN(as, cache::RepoId::parse(choice.as));
    if (choice.sources.size() > 1)
      return fail(Code::kInvalidArgument, "--as names one model; give one SOURCE with it");
  }
  ASSIGN_OR_RETURN(auto const chosen, choose_one(work.locations, choice.place));
  std::uint64_t read = 0;
  cache::AdoptOptions options;
  options.move = choice.move;
  options.copy = choice.copy;
  options.dry_run = choice.dry_run;
  options.stop = work.stopped;
  options.on_read = [&](std::uint64_t bytes) {
    read += bytes;
    work.on_progress({"Hashing", read, 0, read, 0, 0});
  };
  Adopted adopted;
  for (auto const& source : choice.sources)
    RETURN_IF_ERROR(adopt_source(chosen.resolved.hub.path, source, as, options, adopted));
  if (!choice.dry_run) RETURN_IF_ERROR(show_to_both(chosen.resolved, adopted));
  return adopted;
}

Result<Answer> run(Work const& work, AdoptChoice const& choice) {
  ASSIGN_OR_RETURN(auto const adopted, adopt(work, choice));
  return Answer{to_json(adopted, choice.dry_run), adopted.problems.empty()};
}

}  // namespace homelab::care
