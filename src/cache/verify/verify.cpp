#include "cache/verify.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <numeric>
#include <thread>

#include "repo_check.h"

namespace homelab::cache {
namespace {

using namespace std::chrono_literals;

/// All files of all repositories, handed out to the threads: large repositories first and in them
/// large files first, so that at the end no thread is left alone with a large one.
class Crew {
 public:
  Crew(std::deque<RepoCheck>& repos, VerifyOptions const& options)
      : repos_(repos), options_(options) {
    std::vector<std::size_t> order(repos.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater<>(),
                             [&](std::size_t at) { return repos[at].total_bytes(); });
    for (std::size_t const at : order) {
      total_.total_bytes += repos[at].total_bytes();
      for (auto const& task : repos[at].tasks()) jobs_.push_back({at, &task});
    }
    total_.total_files = jobs_.size();
  }

  /// False: cancelled.
  bool work() {
    unsigned const wanted =
        options_.threads > 0 ? options_.threads : std::max(1U, std::thread::hardware_concurrency());
    auto const count = std::min<std::size_t>(wanted, jobs_.size());
    running_ = count;
    std::vector<std::thread> threads;
    threads.reserve(count);
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { take_jobs(); });
    wait_and_tell();
    for (auto& thread : threads) thread.join();
    return !stopped_;
  }

 private:
  struct Job {
    std::size_t repo;
    CheckTask const* task;
  };

  void take_jobs() {
    ContentWatch const watch{[this](std::uint64_t bytes) { read_bytes_ += bytes; },
                             [this] { return is_cancelled(); }};
    for (std::size_t at = next_++; at < jobs_.size() && !is_cancelled(); at = next_++) {
      auto const& job = jobs_[at];
      if (!repos_[job.repo].run(*job.task, watch)) break;
      done_bytes_ += job.task->size_bytes;
      ++done_files_;
    }
    std::lock_guard const guard(mutex_);
    --running_;
    changed_.notify_all();
  }

  bool is_cancelled() {
    if (!stopped_ && options_.cancelled && options_.cancelled()) stopped_ = true;
    return stopped_;
  }

  void wait_and_tell() {
    std::unique_lock guard(mutex_);
    while (!changed_.wait_for(guard, 100ms, [this] { return running_ == 0; })) {
      guard.unlock();
      tell();
      guard.lock();
    }
    guard.unlock();
    tell();  // always once more after the last file: a watcher sees the end, not nearly the end
  }

  void tell() const {
    if (!options_.on_progress) return;
    VerifyProgress progress = total_;
    progress.read_bytes = read_bytes_;
    progress.done_bytes =
        std::min(progress.total_bytes, std::max(done_bytes_.load(), read_bytes_.load()));
    progress.done_files = done_files_;
    options_.on_progress(progress);
  }

  std::deque<RepoCheck>& repos_;
  VerifyOptions const& options_;
  std::vector<Job> jobs_;
  VerifyProgress total_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::uint64_t> read_bytes_{0};
  std::atomic<std::uint64_t> done_bytes_{0};
  std::atomic<std::size_t> done_files_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t running_ = 0;
};

}  // namespace

std::string_view to_string(VerifyFinding::Kind kind) {
  using Kind = VerifyFinding::Kind;
  switch (kind) {
    case Kind::kWrongContent:
      return "wrong_content";
    case Kind::kUnreadable:
      return "unreadable";
    case Kind::kChanged:
      return "changed";
    case Kind::kDangling:
      return "dangling";
    case Kind::kWrongLink:
      return "wrong_link";
    case Kind::kBadListing:
      return "bad_listing";
    case Kind::kUncheckable:
      return "uncheckable";
    case Kind::kNotDownloaded:
      return "not_downloaded";
  }
  return "unknown";
}

bool is_bad(VerifyFinding const& finding) {
  using Kind = VerifyFinding::Kind;
  if (finding.kind == Kind::kUncheckable || finding.kind == Kind::kNotDownloaded) return false;
  return !finding.out_of_service || !finding.entries.empty();
}

Result<VerifyReport> verify_repos(std::span<Path const> repo_folders,
                                  VerifyOptions const& options) {
  std::deque<RepoCheck> repos;
  bool cancelled = false;
  for (auto const& folder : repo_folders) {
    std::error_code error;
    auto const absolute = std::filesystem::absolute(folder, error).lexically_normal();
    auto const scan = scan_repo(error ? folder : absolute);
    // Moved or deleted since it was listed: no reason not to check the others.
    if (!scan && scan.error().code == Code::kNotFound) continue;
    if (!scan) return fail(scan.error());
    repos.emplace_back(*scan, options);
    if (!options.cancelled || !options.cancelled()) continue;
    cancelled = &folder != &repo_folders.back();
    break;
  }
  VerifyReport report;
  report.cancelled = cancelled || !Crew(repos, options).work();
  for (auto& repo : repos) {
    repo.finish_early();
    report.repos.push_back(repo.take());
  }
  return report;
}

}  // namespace homelab::cache
