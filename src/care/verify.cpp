#include "care/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "care/download.h"
#include "care/printable.h"
#include "hub/repair.h"

namespace homelab::care {
namespace {

using Kind = cache::VerifyFinding::Kind;
using Totals = Verified::Totals;

Result<cache::VerifyReport> check(Work const& work, VerifyChoice const& choice) {
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(work.locations, choice.place));
  ASSIGN_OR_RETURN(auto const folders, chosen_repo_folders(hubs, choice.repos));
  cache::VerifyOptions options;
  options.all_again = choice.all_again;
  options.quarantine = !choice.dry_run;
  options.threads = choice.threads;
  options.cancelled = work.stopped;
  options.on_progress = [&](cache::VerifyProgress const& progress) {
    work.on_progress({"Checking", progress.done_bytes, progress.total_bytes, progress.read_bytes,
                      progress.done_files, progress.total_files});
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

/// What the repair of one repository could not do is a remark; what remains bad is in the report.
void repair_one(Work const& work, VerifyChoice const& choice, hub::HubApi const& api,
                CheckedRepo& checked, Totals& totals) {
  auto const mendable = [](Checked const& one) { return is_mendable(one.finding); };
  if (std::ranges::none_of(checked.findings, mendable)) return;
  auto const id = cache::RepoId::parse(checked.repo.id);
  if (!id || checked.repo.type != cache::RepoType::kModel)
    return work.remark(fmt::format("{} is no model; download it again with the program it is from",
                                   checked.repo.id));
  hub::RepairRequest request{checked.repo.folder.parent_path(), *id, {}, {}, {}, {}};
  for (auto const& one : checked.findings)
    if (mendable(one)) want(request, one.finding);
  request.cancelled = work.stopped;
  request.on_progress = [&](hub::Progress const& progress) {
    show_download(work, progress, checked.repo.id);
  };
  auto const outcome = hub::repair(work.hub->client, api, {}, request);
  if (!outcome) work.remark("not repaired: " + outcome.error().message);
  if (outcome)
    for (auto const& error : outcome->errors)
      work.remark(fmt::format("not repaired: {}: {}", checked.repo.id, error.message));
  totals.downloaded_bytes += outcome ? outcome->downloaded_bytes : 0;
  judge_repaired(checked, totals, choice.keep_wrong);
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

json::object to_json(Checked const& one) {
  auto const& finding = one.finding;
  json::array entries;
  for (auto const& entry : finding.entries)
    entries.push_back(
        json::object{{"commit", entry.commit.text()}, {"path", json_text(entry.path)}});
  return {
      {"kind", cache::to_string(finding.kind)},
      {"bad", one.is_bad()},
      {"repaired", one.repaired},
      {"path", json_text(finding.path.string())},
      {"blob", finding.blob.empty() ? json::value(nullptr) : json::value(json_text(finding.blob))},
      {"size_bytes", finding.size_bytes},
      {"entries", std::move(entries)},
      {"quarantined", finding.quarantined ? json::value(json_text(finding.quarantined->string()))
                                          : json::value(nullptr)},
      {"what", json_text(finding.what)}};
}

}  // namespace

json::object to_json(Verified const& verified) {
  auto const& totals = verified.totals;
  json::array all;
  for (auto const& checked : verified.repos) {
    json::array findings;
    for (auto const& one : checked.findings) findings.push_back(to_json(one));
    all.push_back(json::object{{"repo", json_text(checked.repo.id)},
                               {"type", cache::to_string(checked.repo.type)},
                               {"folder", json_text(checked.repo.folder.string())},
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
          {"cancelled", verified.cancelled},
          {"repos", std::move(all)}};
}

Result<Verified> verify(Work const& work, VerifyChoice const& choice) {
  if (choice.repair && work.hub == nullptr)
    return fail(Code::kFailedPrecondition,
                "a repair needs the Hub, and there is no way to it here");
  ASSIGN_OR_RETURN(auto report, check(work, choice));
  Verified out;
  out.cancelled = report.cancelled;
  for (auto& repo : report.repos) {
    CheckedRepo checked;
    for (auto& finding : repo.findings) checked.findings.push_back({std::move(finding)});
    repo.findings.clear();
    checked.repo = std::move(repo);
    out.repos.push_back(std::move(checked));
  }
  if (choice.repair && !report.cancelled) {
    hub::HubApi const api(work.hub->client, work.hub->options);
    for (auto& checked : out.repos) repair_one(work, choice, api, checked, out.totals);
  }
  count(out.repos, out.totals);
  return out;
}

bool is_clean(Verified const& verified) { return verified.totals.bad == 0 && !verified.cancelled; }

Result<Answer> run(Work const& work, VerifyChoice const& choice) {
  ASSIGN_OR_RETURN(auto const verified, verify(work, choice));
  return Answer{to_json(verified), is_clean(verified)};
}

}  // namespace homelab::care
