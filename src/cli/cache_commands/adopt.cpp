// cache adopt: model files that stand elsewhere become part of the cache without a second copy.
#include "cache/adopt.h"

#include <fmt/format.h>

#include "../context.h"
#include "../exit_code.h"
#include "../locations.h"
#include "../progress_printer.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "cache/bridge.h"
#include "commands.h"

namespace homelab::cli {
namespace {

struct Adopted {
  std::vector<cache::AdoptReport> reports;
  std::vector<std::string> problems;
  std::vector<std::string> remarks;  ///< of the sources
};

/// One model's failure does not end the others; Ctrl-C does.
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

std::string text_of(Adopted const& adopted, bool dry_run) {
  Table table({{"REPOSITORY"}, {"FILE"}, {"SIZE", Align::kRight}, {"HOW"}});
  std::uint64_t bytes = 0;
  std::uint64_t copied = 0;
  std::string remarks;
  for (auto const& report : adopted.reports) {
    for (auto const& file : report.files)
      table.add({report.repo, file.path.text(), human_bytes(file.size_bytes),
                 std::string(to_string(file.way))});
    if (report.files.empty())
      table.add({report.repo, "", human_bytes(report.adopted_bytes), "whole folder"});
    bytes += report.adopted_bytes;
    copied += report.copied_bytes;
    for (auto const& remark : report.remarks) remarks += printable(remark) + "\n";
  }
  for (auto const& remark : adopted.remarks) remarks += printable(remark) + "\n";
  for (auto const& problem : adopted.problems)
    remarks += "not adopted: " + printable(problem) + "\n";
  return (table.empty() ? "" : table.render()) + remarks +
         fmt::format("{} {} ({} bytes), of which copied: {} bytes\n",
                     dry_run ? "would be adopted:" : "adopted:", human_bytes(bytes), bytes, copied);
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

json::object json_of(Adopted const& adopted, bool dry_run) {
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

}  // namespace

Result<int> execute(Context const& context, CacheAdoptCommand const& command) {
  std::optional<cache::RepoId> as;
  if (!command.as.empty()) {
    ASSIGN_OR_RETURN(as, cache::RepoId::parse(command.as));
    if (command.sources.size() > 1)
      return fail(Code::kInvalidArgument, "--as names one model; give one SOURCE with it");
  }
  auto const locations = locations_of(context.settings);
  ASSIGN_OR_RETURN(auto const chosen,
                   choose_location(locations, command.root.path ? "custom" : command.root.location,
                                   command.root.path));
  StopSignal const stop;
  ProgressPrinter printer(stderr_is_terminal());
  std::uint64_t read = 0;
  cache::AdoptOptions options;
  options.move = command.move;
  options.copy = command.copy;
  options.dry_run = command.dry_run;
  options.stop = StopSignal::raised;
  options.on_read = [&](std::uint64_t bytes) {
    read += bytes;
    ProgressState state;
    state.label = "Hashing";
    state.done_bytes = read;
    printer.show(std::move(state), read);
  };
  Adopted adopted;
  for (auto const& source : command.sources)
    RETURN_IF_ERROR(adopt_source(chosen.resolved.hub.path, source, as, options, adopted));
  printer.finish();
  if (!command.dry_run) RETURN_IF_ERROR(show_to_both(chosen.resolved, adopted));
  context.out.text(text_of(adopted, command.dry_run));
  context.out.value(json_of(adopted, command.dry_run));
  return adopted.problems.empty() ? kExitDone : kExitFailed;
}

}  // namespace homelab::cli
