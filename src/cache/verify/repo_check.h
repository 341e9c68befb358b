#pragma once
// The check of one repository folder while its files are being read by several threads.
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "check_plan.h"
#include "content_check.h"
#include "verified_record.h"

namespace homelab::cache {

class RepoCheck {
 public:
  RepoCheck(RepoScan const& scan, VerifyOptions const& options);
  RepoCheck(RepoCheck const&) = delete;
  RepoCheck& operator=(RepoCheck const&) = delete;

  /// Largest first.
  [[nodiscard]] std::vector<CheckTask> const& tasks() const { return tasks_; }
  [[nodiscard]] std::uint64_t total_bytes() const { return total_bytes_; }

  /// Checks one task and notes what came out of it; the last one also takes wrong blobs out of
  /// service and writes the record. Thread-safe for different tasks. False: cancelled.
  [[nodiscard]] bool run(CheckTask const& task, ContentWatch const& watch);
  /// For a check that was cut short: takes wrong blobs out of service and remembers what was found.
  void finish_early();
  /// After the last task or finish_early().
  [[nodiscard]] VerifiedRepo take() { return std::move(result_); }

 private:
  struct Wrong {
    CheckTask task;
    ContentCheck check;
  };
  [[nodiscard]] Result<OpenEntry> open(CheckTask const& task) const;
  [[nodiscard]] bool is_remembered(CheckTask const& task, FileFacts const& facts) const;
  void note(CheckTask const& task, ContentCheck const& check);
  void note_unopened(CheckTask const& task, Error const& error);
  void note_good(CheckTask const& task, ContentCheck const& check);
  void add_finding(CheckTask const& task, VerifyFinding::Kind kind, std::string what);
  void task_done();
  void finish();
  void report_wrong();
  void report_disputes();
  void take_out_of_service(Wrong const& wrong, VerifyFinding& finding) const;
  void write_record();

  VerifyOptions const& options_;
  Path folder_;
  Path hub_folder_;
  VerifiedRecords records_;
  VerifiedRecord const before_;
  std::vector<CheckTask> tasks_;
  std::vector<SizeDispute> disputes_;
  std::uint64_t total_bytes_ = 0;

  std::mutex mutex_;  ///< for everything below
  VerifiedRepo result_;
  VerifiedRecord record_;
  std::vector<Wrong> wrong_;
  std::size_t left_ = 0;
  std::uint64_t unwritten_bytes_ = 0;
};

}  // namespace homelab::cache
