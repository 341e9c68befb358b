#pragma once
// Brings the missing blobs of one commit into the repository folder.
#include <list>
#include <vector>

#include "fetch_job.h"
#include "hub/hub_api.h"

namespace homelab::hub {

/// Runs on one thread: run() is a loop over events from the transfer thread, the writers and the
/// syncers.
///
/// A job goes: waiting -> (etag lock) -> [opening, large files] -> transferring <-> delayed ->
/// committing -> done. Locks are only tried, never waited for while others are held, so two
/// programs cannot block each other for ever.
class BlobFetcher {
 public:
  struct Setting {
    http::Client& client;
    HubApi const& api;
    cache::RepoWriter const& writer;
    cache::CommitHash commit;
    Downloader::Options options;
    std::shared_ptr<Machinery> machinery;
    Cancelled cancelled;
    std::function<void(Progress const&)>
        report;  ///< on the thread of run(), at most about 20 times a second
  };

  explicit BlobFetcher(Setting setting);

  /// Blocks until every file's blob is there. On an error or cancellation partials stay for the
  /// next time.
  [[nodiscard]] Status run(std::vector<cache::TreeFile> const& files);
  /// Bytes that came over the network.
  [[nodiscard]] std::uint64_t downloaded_bytes() const { return received_; }

 private:
  using JobPtr = std::shared_ptr<FetchJob>;

  Status add_jobs(std::vector<cache::TreeFile> const& files);
  Status check_space() const;
  Status loop();

  void start_what_can_start();
  void retry_busy_locks();
  void start_delayed();
  /// Takes a lock or finds the blob there; false: somebody else holds the lock.
  bool try_begin(JobPtr const& job);
  void open_partial(JobPtr const& job);
  void transfer(JobPtr const& job);
  http::ClientRequest request_for(FetchJob const& job) const;

  void on_opened(JobPtr const& job, Result<cache::PartialBlob> partial);
  void on_attempt(JobPtr const& job, AttemptResult result);
  void on_complete(JobPtr const& job);
  void on_committed(JobPtr const& job, Status const& status);
  void wrong_bytes(JobPtr const& job, std::string const& why);
  void try_again(JobPtr const& job, AttemptResult const& result, std::string const& why);
  /// Bytes that were counted and are thrown away must not stay in the progress.
  void forget_progress(FetchJob& job, std::uint64_t kept_bytes);
  void flush_batch();
  void finished(JobPtr const& job);
  void stop_with(Error error);

  [[nodiscard]] std::string where(FetchJob const& job) const;
  [[nodiscard]] std::chrono::milliseconds next_wake() const;
  void report(bool force);

  Setting set_;
  EventQueue events_;
  std::atomic<std::uint64_t> received_{0};

  std::deque<JobPtr> small_;  ///< not begun yet
  std::deque<JobPtr> large_;
  std::list<JobPtr> busy_;     ///< lock held by somebody else
  std::list<JobPtr> delayed_;  ///< to be transferred (again) at not_before
  std::list<JobPtr> running_;  ///< begun, including delayed ones
  std::vector<JobPtr> batch_;  ///< small files complete in memory
  std::size_t running_small_ = 0;
  std::size_t running_large_ = 0;
  std::size_t batch_bytes_ = 0;
  std::uint64_t discarded_bytes_ = 0;
  int outstanding_ = 0;  ///< events that will still come
  std::optional<Error> error_;
  Clock::time_point hold_until_{};  ///< a server asked for a pause
  Clock::time_point next_lock_try_{};
  Clock::time_point next_report_{};
  Progress progress_;
};

}  // namespace homelab::hub
