#include "repo_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "folder_at.h"
#include "open_blob.h"
#include "quarantine.h"

namespace homelab::cache {
namespace {

using Kind = VerifyFinding::Kind;
using Outcome = ContentCheck::Outcome;

/// So much work at most is lost when the process is killed.
constexpr std::uint64_t kRememberEveryBytes = 8ULL << 30;

/// Which snapshot paths lead to which blob.
std::map<std::string, std::vector<EntryName>> entries_of(Path const& folder,
                                                         std::set<std::string> const& blobs) {
  std::map<std::string, std::vector<EntryName>> found;
  auto const scan = scan_repo(folder);
  if (!scan) return found;
  for (auto const& revision : scan->revisions)
    for (auto const& entry : revision.entries) {
      if (!entry.blob) continue;
      auto const& name = scan->blobs.at(*entry.blob).name;
      if (blobs.contains(name)) found[name].push_back({revision.commit, entry.path});
    }
  return found;
}

}  // namespace

RepoCheck::RepoCheck(RepoScan const& scan, VerifyOptions const& options)
    : options_(options),
      folder_(scan.folder),
      hub_folder_(scan.folder.parent_path()),
      records_(hub_folder_),
      before_(records_.read(scan.folder.filename().string())) {
  CheckPlan plan = plan_check(scan);
  tasks_ = std::move(plan.tasks);
  disputes_ = std::move(plan.disputes);
  result_.type = scan.type;
  result_.id = scan.id;
  result_.folder = scan.folder;
  result_.findings = std::move(plan.findings);
  std::ranges::stable_sort(tasks_, std::greater<>(), &CheckTask::size_bytes);
  for (auto const& task : tasks_) total_bytes_ += task.size_bytes;
  left_ = tasks_.size();
  // Until it is checked, what was known stays known.
  for (auto const& task : tasks_)
    if (auto const known = before_.find(task.path); known != before_.end()) record_.insert(*known);
  if (left_ == 0) finish();
}

Result<OpenEntry> RepoCheck::open(CheckTask const& task) const {
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(folder_));
  if (!task.is_blob()) return open_below(repo, task.path);
  ASSIGN_OR_RETURN(FolderAt const blobs, open_sub(repo, "blobs"));
  return open_blob(blobs, task.hash, hub_folder_);
}

bool RepoCheck::is_remembered(CheckTask const& task, FileFacts const& facts) const {
  auto const known = before_.find(task.path);
  return !options_.all_again && known != before_.end() && known->second.facts == facts &&
         known->second.hash == task.hash.text();
}

bool RepoCheck::run(CheckTask const& task, ContentWatch const& watch) {
  auto const opened = open(task);
  if (!opened) {
    note_unopened(task, opened.error());
    return true;
  }
  struct stat found{};
  if (::fstat(opened->file.get(), &found) == 0 && is_remembered(task, facts_of(found))) {
    std::lock_guard const guard(mutex_);
    ++result_.remembered_files;
    result_.remembered_bytes += task.size_bytes;
    task_done();
    return true;
  }
  auto const check = check_content(opened->file.get(), task.hash, watch);
  if (check.outcome == Outcome::kCancelled) return false;
  note(task, check);
  return true;
}

void RepoCheck::note_unopened(CheckTask const& task, Error const& error) {
  std::lock_guard const guard(mutex_);
  record_.erase(task.path);
  if (error.code == Code::kNotFound)
    add_finding(task, Kind::kChanged, "it vanished while the cache was being checked; check again");
  else
    add_finding(task, Kind::kUnreadable, error.message);
  task_done();
}

void RepoCheck::note(CheckTask const& task, ContentCheck const& check) {
  std::lock_guard const guard(mutex_);
  ++result_.checked_files;
  result_.checked_bytes += check.facts.size_bytes;
  record_.erase(task.path);
  switch (check.outcome) {
    case Outcome::kGood:
      note_good(task, check);
      break;
    case Outcome::kWrong:
      wrong_.push_back({task, check});
      break;
    case Outcome::kChanged:
      add_finding(task, Kind::kChanged, "it was written to while it was read; check again");
      break;
    case Outcome::kUnreadable:
      add_finding(task, Kind::kUnreadable, "reading failed: " + check.why);
      break;
    case Outcome::kCancelled:
      break;
  }
  task_done();
}

void RepoCheck::note_good(CheckTask const& task, ContentCheck const& check) {
  if (!check.settled) return;
  record_[task.path] = {task.hash.text(), check.facts, file_clock_ns() / 1'000'000'000};
  unwritten_bytes_ += check.facts.size_bytes;
  if (unwritten_bytes_ >= kRememberEveryBytes) write_record();
}

void RepoCheck::add_finding(CheckTask const& task, Kind kind, std::string what) {
  VerifyFinding finding;
  finding.kind = kind;
  finding.path = folder_ / task.path;
  finding.blob = task.hash.text();
  finding.size_bytes = task.size_bytes;
  finding.what = std::move(what);
  result_.findings.push_back(std::move(finding));
}

void RepoCheck::task_done() {
  if (--left_ == 0) finish();
}

void RepoCheck::finish_early() {
  std::lock_guard const guard(mutex_);
  if (left_ > 0) finish();
}

void RepoCheck::finish() {
  report_disputes();
  report_wrong();
  write_record();
  std::ranges::stable_sort(result_.findings, [](VerifyFinding const& a, VerifyFinding const& b) {
    return std::pair(!is_bad(a), a.path) < std::pair(!is_bad(b), b.path);
  });
}

/// The hash has decided: content with its right hash is right, whatever the listing says.
void RepoCheck::report_disputes() {
  std::set<std::string> undecided;
  for (auto const& wrong : wrong_) undecided.insert(wrong.task.hash.text());
  for (auto const& finding : result_.findings) undecided.insert(finding.blob);
  for (auto const& dispute : disputes_) {
    if (undecided.contains(dispute.blob)) continue;
    VerifyFinding finding;
    finding.kind = Kind::kBadListing;
    finding.path = folder_ / "trees" / (dispute.entry.commit.text() + ".json");
    finding.blob = dispute.blob;
    finding.entries = {dispute.entry};
    finding.what = fmt::format(
        "it says {} is {} bytes long, the content has another length and "
        "the right hash; remove the listing, it is fetched again",
        dispute.entry.path, dispute.listed_bytes);
    result_.findings.push_back(std::move(finding));
  }
}

void RepoCheck::report_wrong() {
  if (wrong_.empty()) return;
  std::set<std::string> names;
  for (auto const& wrong : wrong_) names.insert(wrong.task.hash.text());
  auto const entries = entries_of(folder_, names);
  for (auto const& wrong : wrong_) {
    auto const hash = wrong.task.hash.text();
    add_finding(
        wrong.task, Kind::kWrongContent,
        fmt::format("its content has the {} {}",
                    wrong.task.hash.is_sha256() ? "SHA-256" : "git object id", wrong.check.found));
    auto& finding = result_.findings.back();
    finding.size_bytes = wrong.check.facts.size_bytes;
    for (auto const& dispute : disputes_)
      if (dispute.blob == hash) {
        finding.what +=
            fmt::format("; it has {} of {} bytes", finding.size_bytes, dispute.listed_bytes);
        break;
      }
    if (!wrong.task.is_blob()) {
      // "snapshots/<commit>/<path>"
      constexpr std::size_t kCommitAt = 10;
      if (auto commit = CommitHash::parse(wrong.task.path.substr(kCommitAt, 40)))
        finding.entries.push_back({std::move(*commit), wrong.task.path.substr(kCommitAt + 41)});
      finding.what += "; it is no blob and stays: remove it to have it downloaded again";
      continue;
    }
    if (auto const found = entries.find(hash); found != entries.end())
      finding.entries = found->second;
    if (options_.quarantine) take_out_of_service(wrong, finding);
  }
  wrong_.clear();
}

void RepoCheck::take_out_of_service(Wrong const& wrong, VerifyFinding& finding) const {
  auto const done = quarantine_blob(folder_, wrong.task.hash, wrong.check.facts);
  if (!done) {
    finding.what += "; it could not be moved away: " + done.error().message;
    return;
  }
  finding.out_of_service = true;
  finding.quarantined = done->path;
  if (!done->path)
    finding.what +=
        "; its link into the shared store was removed, the damaged payload is still there";
}

void RepoCheck::write_record() {
  unwritten_bytes_ = 0;
  if (record_ == before_) return;
  // A cache that cannot be written to is checked as well, only not faster the next time.
  if (auto const written = records_.write(folder_.filename().string(), record_); !written)
    logger("cache")->info("checked files are not remembered: {}", written.error().message);
}

}  // namespace homelab::cache
