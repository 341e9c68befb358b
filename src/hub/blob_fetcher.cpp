#include "blob_fetcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "answers.h"
#include "base/log.h"
#include "base/strings.h"
#include "cache/room.h"

namespace homelab::hub {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSmallBytes = 256ULL << 10;
constexpr std::size_t kBatchFiles = 128;
constexpr std::size_t kBatchBytes = 8ULL << 20;
constexpr int kTriesWhenForbidden = 2;
constexpr auto kLockPoll = 50ms;
constexpr auto kReportEvery = 50ms;
constexpr auto kCancelPoll = 100ms;

}  // namespace

BlobFetcher::BlobFetcher(Setting setting) : set_(std::move(setting)) {}

Status BlobFetcher::run(std::vector<cache::TreeFile> const& files) {
  RETURN_IF_ERROR(add_jobs(files));
  RETURN_IF_ERROR(check_space());
  report(true);
  auto status = loop();
  report(true);
  return status;
}

Status BlobFetcher::add_jobs(std::vector<cache::TreeFile> const& files) {
  std::set<cache::BlobName> seen;
  progress_.total_files = files.size();
  for (auto const& file : files) {
    progress_.total_bytes += file.size_bytes;
    ASSIGN_OR_RETURN(auto name, file.blob_name());
    // The same content under two paths is one blob.
    if (!seen.insert(name).second || set_.writer.has_blob(name, file.size_bytes)) {
      progress_.present_bytes += file.size_bytes;
      ++progress_.finished_files;
      continue;
    }
    auto job = std::make_shared<FetchJob>(file, std::move(name), set_.api.options().retry_unit);
    job->small = file.size_bytes < kSmallBytes;
    (job->small ? small_ : large_).push_back(std::move(job));
  }
  progress_.stage = Progress::Stage::kDownloading;
  return {};
}

Status BlobFetcher::check_space() const {
  std::uint64_t needed = 0;
  for (auto const* queue : {&small_, &large_})
    for (auto const& job : *queue) {
      auto const have = set_.writer.partial_disk_bytes(job->name);
      needed += job->file.size_bytes > have ? job->file.size_bytes - have : 0;
    }
  if (needed == 0) return {};
  if (set_.options.may_store)
    RETURN_IF_ERROR(set_.options.may_store(set_.writer.folder().path().parent_path()));
  auto const room = cache::make_room(set_.writer.folder().path().parent_path(),
                                     needed + set_.options.free_space_reserve_bytes);
  if (room || room.error().code != Code::kResourceExhausted) return room;
  ASSIGN_OR_RETURN(auto const space, os::disk_space(set_.writer.folder().path()));
  return fail(Code::kResourceExhausted,
              fmt::format("{}: {} are needed and {} stay free as a reserve, but only {} are free "
                          "on the disk of {}. Free some space or choose another cache location",
                          set_.writer.folder().id().text(), human_bytes(needed),
                          human_bytes(set_.options.free_space_reserve_bytes),
                          human_bytes(space.free_bytes), set_.writer.folder().path().string()));
}

Status BlobFetcher::loop() {
  for (;;) {
    if (!error_ && set_.cancelled && set_.cancelled())
      stop_with({Code::kCancelled, "download cancelled; what has arrived is kept"});
    if (!error_) start_what_can_start();
    bool const idle = small_.empty() && large_.empty() && busy_.empty() && running_.empty();
    if (outstanding_ == 0 && (idle || error_)) break;
    for (auto& event : events_.take(next_wake())) {
      --outstanding_;
      event();
    }
    report(false);
  }
  if (error_) return fail(*error_);
  return {};
}

std::chrono::milliseconds BlobFetcher::next_wake() const {
  auto wake = Clock::now() + kCancelPoll;
  if (!busy_.empty()) wake = std::min(wake, next_lock_try_);
  for (auto const& job : delayed_) wake = std::min(wake, std::max(job->not_before, hold_until_));
  auto const wait = std::chrono::ceil<std::chrono::milliseconds>(wake - Clock::now());
  return std::max(wait, std::chrono::milliseconds(0));
}

void BlobFetcher::start_what_can_start() {
  retry_busy_locks();
  start_delayed();
  if (Clock::now() < hold_until_) return;
  while (!large_.empty() && running_large_ < set_.options.parallel_files && !error_) {
    auto const job = large_.front();
    large_.pop_front();
    if (!try_begin(job)) busy_.push_back(job);
  }
  while (!small_.empty() && running_small_ < set_.options.parallel_small_files && !error_) {
    auto const job = small_.front();
    small_.pop_front();
    if (!try_begin(job)) busy_.push_back(job);
  }
  // Nothing more can join the batch: do not let others wait for its locks.
  if (running_small_ == 0 && !batch_.empty()) flush_batch();
}

void BlobFetcher::retry_busy_locks() {
  if (busy_.empty() || Clock::now() < next_lock_try_) return;
  next_lock_try_ = Clock::now() + kLockPoll;
  for (auto it = busy_.begin(); it != busy_.end() && !error_;) {
    auto const& limit =
        (*it)->small ? set_.options.parallel_small_files : set_.options.parallel_files;
    auto const& running = (*it)->small ? running_small_ : running_large_;
    if (running < limit && try_begin(*it))
      it = busy_.erase(it);
    else
      ++it;
  }
}

void BlobFetcher::start_delayed() {
  auto const now = Clock::now();
  if (now < hold_until_) return;
  for (auto it = delayed_.begin(); it != delayed_.end();) {
    if ((*it)->not_before > now) {
      ++it;
      continue;
    }
    auto const job = *it;
    it = delayed_.erase(it);
    transfer(job);
  }
}

bool BlobFetcher::try_begin(JobPtr const& job) {
  auto const already_there = [&] { return set_.writer.has_blob(job->name, job->file.size_bytes); };
  auto lock = os::FileLock::try_take(set_.writer.folder().lock_path(job->name));
  if (!lock) {
    stop_with(std::move(lock.error()).in("lock of " + job->file.path.text()));
    return true;
  }
  // Another program may have finished the blob while we waited, or while it still holds the lock.
  if (already_there()) {
    progress_.present_bytes += job->file.size_bytes;
    ++progress_.finished_files;
    return true;
  }
  if (!lock->has_value()) return false;
  job->lock = std::move(**lock);
  running_.push_back(job);
  ++(job->small ? running_small_ : running_large_);
  if (job->small) {
    job->memory = std::make_shared<MemorySink>(job->file.size_bytes);
    transfer(job);
  } else {
    open_partial(job);
  }
  return true;
}

void BlobFetcher::open_partial(JobPtr const& job) {
  ++outstanding_;
  set_.machinery->syncers.post([this, job] {
    // In a shared pointer, because std::function wants a copyable event.
    auto partial = std::make_shared<Result<cache::PartialBlob>>(
        set_.writer.open_partial(job->name, job->file.size_bytes));
    events_.post([this, job, partial] { on_opened(job, std::move(*partial)); });
  });
}

void BlobFetcher::on_opened(JobPtr const& job, Result<cache::PartialBlob> partial) {
  if (error_) return;
  if (!partial) return stop_with(std::move(partial.error()).in(job->file.path.text()));
  progress_.present_bytes -= job->counted_present;
  job->counted_present = partial->written_bytes();
  progress_.present_bytes += job->counted_present;
  job->disk = std::make_shared<DiskSink>(std::move(*partial), set_.machinery->chunks,
                                         set_.machinery->writers);
  if (job->disk->kept_bytes() == job->file.size_bytes) return on_complete(job);
  transfer(job);
}

http::ClientRequest BlobFetcher::request_for(FetchJob const& job) const {
  http::ClientRequest request;
  request.url = set_.api.file_url(set_.writer.folder().id(), set_.commit, job.file.path);
  request.bearer_token = set_.api.options().token;
  // A compressed body would have another length, and ranges of it mean nothing.
  request.headers.set("Accept-Encoding", "identity");
  if (auto const from = job.sink()->kept_bytes(); from > 0) request.range_from = from;
  return request;
}

void BlobFetcher::transfer(JobPtr const& job) {
  if (set_.api.options().offline)
    return stop_with({Code::kUnavailable, fmt::format("{} is not here and HF_HUB_OFFLINE is set",
                                                      job->file.path.text())});
  ++outstanding_;
  WantedBytes const wanted{job->name, job->file.size_bytes, job->sink()->kept_bytes()};
  job->from = wanted.from;
  job->transfer =
      start_attempt(set_.client, request_for(*job), wanted, job->sink(), received_,
                    [this, job](AttemptResult result) {
                      auto shared = std::make_shared<AttemptResult>(std::move(result));
                      events_.post([this, job, shared] { on_attempt(job, std::move(*shared)); });
                    });
}

void BlobFetcher::on_attempt(JobPtr const& job, AttemptResult result) {
  job->transfer.reset();
  if (error_) return;
  if (result.has_head && result.verdict == HeadVerdict::kStartOver)
    forget_progress(*job, job->from);
  if (!result.kept) {
    if (result.kept.error().code == Code::kDataLoss)
      return wrong_bytes(job, result.kept.error().message);
    return stop_with(std::move(result.kept.error()).in(job->file.path.text()));
  }
  if (!result.has_head)
    return try_again(job, result, result.transfer ? "no answer" : result.transfer.error().message);
  switch (result.verdict) {
    case HeadVerdict::kRefused:
      return stop_with(error_of_answer(result.http_status, result.headers, where(*job),
                                       set_.api.options().endpoint,
                                       !set_.api.options().token.empty()));
    case HeadVerdict::kChanged:
      return wrong_bytes(job,
                         "the server offers other content than the listing of the commit says");
    case HeadVerdict::kRetry:
      return try_again(job, result, fmt::format("HTTP {}", result.http_status));
    case HeadVerdict::kAppend:
    case HeadVerdict::kStartOver:
      break;
  }
  if (job->sink()->kept_bytes() == job->file.size_bytes) return on_complete(job);
  try_again(job, result,
            result.transfer ? "the answer ended early" : result.transfer.error().message);
}

void BlobFetcher::try_again(JobPtr const& job, AttemptResult const& result,
                            std::string const& why) {
  if (!result.transfer && !result.has_head && !is_retryable(result.transfer.error().code))
    return stop_with(Error(result.transfer.error()).in(where(*job)));
  auto const asked = asked_wait(result.headers);
  auto wait = job->budget.next_wait(result.received_bytes > 0, asked);
  // A new signed address helps at once or not at all.
  if (result.http_status == 403 && job->budget.failures() > kTriesWhenForbidden) wait.reset();
  if (!wait) {
    if (result.http_status >= 400)
      return stop_with(error_of_answer(result.http_status, result.headers, where(*job),
                                       set_.api.options().endpoint,
                                       !set_.api.options().token.empty()));
    return stop_with({Code::kUnavailable,
                      fmt::format("{}: {}. Given up after {} tries without progress; what has "
                                  "arrived is kept, so the next try continues there",
                                  where(*job), why, RetryBudget::kTries + 1)});
  }
  auto const level = *wait >= 1s ? spdlog::level::info : spdlog::level::debug;
  logger("hub")->log(level, "{}: {}; again in {} ms from byte {}", where(*job), why, wait->count(),
                     job->sink()->kept_bytes());
  job->not_before = Clock::now() + *wait;
  if (asked) hold_until_ = std::max(hold_until_, job->not_before);
  delayed_.push_back(job);
}

void BlobFetcher::wrong_bytes(JobPtr const& job, std::string const& why) {
  if (job->started_over)
    return stop_with(
        {Code::kDataLoss,
         fmt::format("{}: {}. Fetched anew from the first byte with the same result, so "
                     "nothing of it was kept: what this server sends cannot be trusted",
                     where(*job), why)});
  logger("hub")->warn("{}: {}; fetching it anew from the first byte", where(*job), why);
  job->started_over = true;
  forget_progress(*job, job->sink() ? job->sink()->kept_bytes() : 0);
  if (job->small) {
    job->memory = std::make_shared<MemorySink>(job->file.size_bytes);
    return transfer(job);
  }
  if (!job->disk) return open_partial(job);
  job->disk->start_over();
  ++outstanding_;
  job->disk->finish([this, job](Status const& status) {
    events_.post([this, job, status] {
      if (error_) return;
      if (!status) return stop_with(Error(status.error()).in(job->file.path.text()));
      transfer(job);
    });
  });
}

void BlobFetcher::forget_progress(FetchJob& job, std::uint64_t kept_bytes) {
  progress_.present_bytes -= job.counted_present;
  discarded_bytes_ += kept_bytes - std::min(kept_bytes, job.counted_present);
  job.counted_present = 0;
}

void BlobFetcher::on_complete(JobPtr const& job) {
  if (job->small) {
    batch_bytes_ += job->file.size_bytes;
    --running_small_;  // its connection is free for the next one
    batch_.push_back(job);
    if (batch_.size() >= kBatchFiles || batch_bytes_ >= kBatchBytes) flush_batch();
    return;
  }
  ++outstanding_;
  set_.machinery->syncers.post([this, job] {
    auto const status = set_.writer.commit(job->disk->take());
    events_.post([this, job, status] { on_committed(job, status); });
  });
}

void BlobFetcher::flush_batch() {
  auto jobs = std::make_shared<std::vector<JobPtr>>(std::exchange(batch_, {}));
  batch_bytes_ = 0;
  ++outstanding_;
  set_.machinery->syncers.post([this, jobs] {
    std::vector<cache::RepoWriter::SmallBlob> blobs;
    for (auto const& job : *jobs) blobs.push_back({job->name, job->memory->take()});
    std::vector<Status> statuses(blobs.size(), set_.writer.put_blobs(blobs));
    // One bad file fails the batch; one by one the good ones are kept and the bad one is known.
    if (!statuses.front())
      for (std::size_t i = 0; i < blobs.size(); ++i)
        statuses[i] =
            set_.writer.put_blob(blobs[i].name, std::as_bytes(std::span(blobs[i].content)));
    events_.post([this, jobs, statuses = std::move(statuses)] {
      for (std::size_t i = 0; i < jobs->size(); ++i) {
        ++running_small_;  // taken back by finished() or used by the second try
        on_committed((*jobs)[i], statuses[i]);
      }
    });
  });
}

void BlobFetcher::on_committed(JobPtr const& job, Status const& status) {
  if (status) return finished(job);
  if (error_) return;
  if (status.error().code != Code::kDataLoss)
    return stop_with(Error(status.error()).in(job->file.path.text()));
  job->disk.reset();
  wrong_bytes(job, status.error().message);
}

void BlobFetcher::finished(JobPtr const& job) {
  job->disk.reset();
  job->memory.reset();
  job->lock.reset();
  --(job->small ? running_small_ : running_large_);
  ++progress_.finished_files;
  running_.remove(job);
}

void BlobFetcher::stop_with(Error error) {
  if (error_) return;
  error_ = std::move(error);
  for (auto const& job : running_)
    if (job->transfer) job->transfer->cancel();
}

std::string BlobFetcher::where(FetchJob const& job) const {
  return fmt::format("{} of {} from {}", job.file.path.text(), set_.writer.folder().id().text(),
                     set_.api.options().endpoint);
}

void BlobFetcher::report(bool force) {
  auto const now = Clock::now();
  if (!set_.report || (!force && now < next_report_)) return;
  next_report_ = now + kReportEvery;
  progress_.downloaded_bytes = received_ - std::min(discarded_bytes_, received_.load());
  bool const waiting = !busy_.empty() && running_.empty();
  progress_.stage = waiting ? Progress::Stage::kWaitingForLock : Progress::Stage::kDownloading;
  set_.report(progress_);
}

}  // namespace homelab::hub
