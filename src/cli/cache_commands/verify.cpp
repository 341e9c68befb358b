// cache verify: every file against its hash; bad ones out of service and, if asked, fetched again.
#include "cache/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "../context.h"
#include "../exit_code.h"
#include "../hub_access.h"
#include "../progress_printer.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "commands.h"
#include "http/client.h"
#include "hub/repair.h"
#include "hub_choice.h"
#include "repo_choice.h"

namespace homelab::cli {
namespace {

using Kind = cache::VerifyFinding::Kind;

/// A finding and what a repair made of it.
struct Checked {
  cache::VerifyFinding finding;
  bool repaired = false;
  [[nodiscard]] bool is_bad() const { return !repaired && cache::is_bad(finding); }
};

struct CheckedRepo {
  cache::VerifiedRepo repo;
  std::vector<Checked> findings;
};

struct Totals {
  std::size_t checked_files = 0, remembered_files = 0, bad = 0, repaired = 0;
  std::uint64_t checked_bytes = 0, remembered_bytes = 0;
  std::uint64_t downloaded_bytes = 0, freed_bytes = 0;
};

std::string words_of(Kind kind) {
  std::string words(cache::to_string(kind));
  std::ranges::replace(words, '_', ' ');
  return words;
}

Result<cache::VerifyReport> check(Context const& context, CacheVerifyCommand const& command) {
  ASSIGN_OR_RETURN(auto const hubs,
                   chosen_hub_folders(context, command.location, command.path.value_or("")));
  ASSIGN_OR_RETURN(auto const folders, chosen_repo_folders(hubs, command.repos));
  ProgressPrinter printer(stderr_is_terminal());
  cache::VerifyOptions options;
  options.all_again = command.all_again;
  options.quarantine = !command.dry_run;
  options.threads = command.threads;
  options.cancelled = StopSignal::raised;
  options.on_progress = [&](cache::VerifyProgress const& progress) {
    ProgressState state;
    state.label = "Checking";
    state.total_bytes = progress.total_bytes;
    state.done_bytes = progress.done_bytes;
    state.total_files = progress.total_files;
    state.finished_files = progress.done_files;
    printer.show(std::move(state), progress.read_bytes);
  };
  return cache::verify_repos(folders, options);
}

/// True when downloading can mend it.
bool is_mendable(cache::VerifyFinding const& finding) {
  switch (finding.kind) {
    case Kind::kWrongContent:
      return finding.out_of_service && !finding.entries.empty();
    case Kind::kDangling:
    case Kind::kWrongLink:
    case Kind::kBadListing:
      return true;
    case Kind::kUnreadable:
    case Kind::kChanged:
    case Kind::kUncheckable:
    case Kind::kNotDownloaded:
      break;
  }
  return false;
}

/// The commit that a finding about trees/<commit>.json is about.
Result<cache::CommitHash> listed_commit(cache::VerifyFinding const& finding) {
  return cache::CommitHash::parse(finding.path.stem().string());
}

void want(hub::RepairRequest& request, cache::VerifyFinding const& finding) {
  if (finding.kind == Kind::kBadListing) {
    if (auto commit = listed_commit(finding)) request.listings.push_back(*commit);
    return;
  }
  // One path brings the content back for every link to it.
  auto const& entry = finding.entries.front();
  if (auto path = cache::RepoPath::parse(entry.path))
    request.files.push_back({entry.commit, *path});
}

/// The listing can be read now and says of the content in question what it is.
bool is_listing_right(cache::VerifiedRepo const& repo, cache::VerifyFinding const& finding) {
  auto const id = cache::RepoId::parse(repo.id);
  auto const commit = listed_commit(finding);
  if (!id || !commit) return false;
  auto const tree = cache::RepoFolder(repo.folder.parent_path(), *id).read_tree(*commit);
  if (!tree || !*tree) return false;
  if (finding.entries.empty()) return true;
  auto const* file = (*tree)->find(finding.entries.front().path);
  std::error_code error;
  auto const size = std::filesystem::file_size(repo.folder / "blobs" / finding.blob, error);
  return file == nullptr || size == file->size_bytes;
}

/// The path leads to content again, and to the blob that it must show as far as that is known. What
/// a download wrote was hashed.
bool is_path_right(cache::VerifiedRepo const& repo, cache::VerifyFinding const& finding) {
  auto const& entry = finding.entries.front();
  auto const link = repo.folder / "snapshots" / entry.commit.text() / entry.path;
  std::error_code error;
  if (!std::filesystem::exists(link, error)) return false;
  return finding.blob.empty() ||
         std::filesystem::equivalent(link, repo.folder / "blobs" / finding.blob, error);
}

/// What is bad now that everything was tried.
void judge_repaired(CheckedRepo& checked, Totals& totals, bool keep_wrong) {
  for (auto& one : checked.findings) {
    if (!is_mendable(one.finding)) continue;
    bool const listing = one.finding.kind == Kind::kBadListing;
    one.repaired = listing ? is_listing_right(checked.repo, one.finding)
                           : is_path_right(checked.repo, one.finding);
    auto const name = cache::BlobName::parse(one.finding.blob);
    if (listing || !one.repaired || !name || keep_wrong) continue;
    if (auto const freed = cache::discard_quarantined(checked.repo.folder, *name))
      totals.freed_bytes += *freed;
  }
}

/// The errors of a repair go to stderr; what remains bad is in the report.
void repair(Context const& context, CacheVerifyCommand const& command,
            std::vector<CheckedRepo>& repos, Totals& totals) {
  auto const client =
      http::Client::create({.user_agent = fmt::format("homelab-llm/{}", context.hooks.version)});
  hub::HubApi const api(*client, hub_options(context.settings));
  ProgressPrinter printer(stderr_is_terminal());
  for (auto& checked : repos) {
    auto const id = cache::RepoId::parse(checked.repo.id);
    auto const mendable = [](Checked const& one) { return is_mendable(one.finding); };
    if (std::ranges::none_of(checked.findings, mendable)) continue;
    if (!id || checked.repo.type != cache::RepoType::kModel) {
      context.out.remark(fmt::format(
          "{} is no model; download it again with the program it is from", checked.repo.id));
      continue;
    }
    hub::RepairRequest request{checked.repo.folder.parent_path(), *id, {}, {}, {}, {}};
    for (auto const& one : checked.findings)
      if (mendable(one)) want(request, one.finding);
    request.cancelled = StopSignal::raised;
    request.on_progress = [&](hub::Progress const& progress) {
      show_progress(printer, progress, checked.repo.id);
    };
    auto const outcome = hub::repair(*client, api, {}, request);
    printer.finish();
    if (!outcome) context.out.remark("not repaired: " + outcome.error().message);
    if (outcome)
      for (auto const& error : outcome->errors)
        context.out.remark(fmt::format("not repaired: {}: {}", checked.repo.id, error.message));
    totals.downloaded_bytes += outcome ? outcome->downloaded_bytes : 0;
    judge_repaired(checked, totals, command.keep_wrong);
  }
}

void count(std::vector<CheckedRepo> const& repos, Totals& totals) {
  for (auto const& checked : repos) {
    totals.checked_files += checked.repo.checked_files;
    totals.checked_bytes += checked.repo.checked_bytes;
    totals.remembered_files += checked.repo.remembered_files;
    totals.remembered_bytes += checked.repo.remembered_bytes;
    for (auto const& one : checked.findings) {
      totals.bad += one.is_bad() ? 1 : 0;
      totals.repaired += one.repaired ? 1 : 0;
    }
  }
}

std::string state_of(Checked const& one) {
  if (one.repaired) return "repaired";
  if (one.is_bad()) return "BAD";
  return one.finding.out_of_service ? "put away" : "-";
}

std::string text_of(std::vector<CheckedRepo> const& repos, Totals const& totals, bool cancelled,
                    bool tried) {
  Table table({{"STATE"}, {"KIND"}, {"FILE"}, {"WHY"}});
  std::size_t absent = 0;
  std::string kept;
  for (auto const& checked : repos)
    for (auto const& one : checked.findings) {
      auto const& finding = one.finding;
      if (finding.kind == Kind::kNotDownloaded) {
        ++absent;
        continue;
      }
      auto const file = finding.entries.empty()
                            ? checked.repo.id + " " + finding.path.filename().string()
                            : checked.repo.id + " " + finding.entries.front().path;
      table.add({state_of(one), words_of(finding.kind), file, finding.what});
      std::error_code error;
      if (finding.quarantined && std::filesystem::exists(*finding.quarantined, error))
        kept += fmt::format("kept: {} ({})\n", printable(finding.quarantined->string()),
                            human_bytes(finding.size_bytes));
    }
  std::string text = table.empty() ? "" : table.render() + "\n" + kept;
  text +=
      fmt::format("{} files read ({}), {} unchanged since they were good ({}), {} repositories\n",
                  totals.checked_files, human_bytes(totals.checked_bytes), totals.remembered_files,
                  human_bytes(totals.remembered_bytes), repos.size());
  if (absent > 0)
    text += fmt::format("{} files of these revisions were never downloaded\n", absent);
  if (totals.repaired > 0)
    text += fmt::format("{} repaired, {} downloaded\n", totals.repaired,
                        human_bytes(totals.downloaded_bytes));
  if (cancelled) text += "stopped; what was checked is remembered, run again to continue\n";
  text += totals.bad == 0 ? "nothing bad found\n"
                          : fmt::format("{} bad{}\n", totals.bad,
                                        tried ? "" : "; --repair downloads them again");
  return text;
}

json::object to_json(Checked const& one) {
  auto const& finding = one.finding;
  json::array entries;
  for (auto const& entry : finding.entries)
    entries.push_back(json::object{{"commit", entry.commit.text()}, {"path", entry.path}});
  return {{"kind", cache::to_string(finding.kind)},
          {"bad", one.is_bad()},
          {"repaired", one.repaired},
          {"path", finding.path.string()},
          {"blob", finding.blob.empty() ? json::value(nullptr) : json::value(finding.blob)},
          {"size_bytes", finding.size_bytes},
          {"entries", std::move(entries)},
          {"quarantined",
           finding.quarantined ? json::value(finding.quarantined->string()) : json::value(nullptr)},
          {"what", finding.what}};
}

json::object to_json(std::vector<CheckedRepo> const& repos, Totals const& totals, bool cancelled) {
  json::array all;
  for (auto const& checked : repos) {
    json::array findings;
    for (auto const& one : checked.findings) findings.push_back(to_json(one));
    all.push_back(json::object{{"repo", checked.repo.id},
                               {"type", cache::to_string(checked.repo.type)},
                               {"folder", checked.repo.folder.string()},
                               {"checked_files", checked.repo.checked_files},
                               {"checked_bytes", checked.repo.checked_bytes},
                               {"remembered_files", checked.repo.remembered_files},
                               {"remembered_bytes", checked.repo.remembered_bytes},
                               {"findings", std::move(findings)}});
  }
  return {{"checked_files", totals.checked_files},
          {"checked_bytes", totals.checked_bytes},
          {"remembered_files", totals.remembered_files},
          {"remembered_bytes", totals.remembered_bytes},
          {"bad", totals.bad},
          {"repaired", totals.repaired},
          {"downloaded_bytes", totals.downloaded_bytes},
          {"freed_bytes", totals.freed_bytes},
          {"cancelled", cancelled},
          {"repos", std::move(all)}};
}

}  // namespace

Result<int> execute(Context const& context, CacheVerifyCommand const& command) {
  StopSignal const stop;
  ASSIGN_OR_RETURN(auto report, check(context, command));
  std::vector<CheckedRepo> repos;
  for (auto& repo : report.repos) {
    CheckedRepo checked;
    for (auto& finding : repo.findings) checked.findings.push_back({std::move(finding)});
    repo.findings.clear();
    checked.repo = std::move(repo);
    repos.push_back(std::move(checked));
  }
  Totals totals;
  if (command.repair && !report.cancelled) repair(context, command, repos, totals);
  count(repos, totals);
  context.out.text(text_of(repos, totals, report.cancelled, command.repair));
  context.out.value(to_json(repos, totals, report.cancelled));
  return totals.bad > 0 || report.cancelled ? kExitFailed : kExitDone;
}

}  // namespace homelab::cli
