#include "jobs/job_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/strings.h"

namespace homelab::jobs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostRemarks = 100;

std::string first_part_of_ids() {
  // Ids of an earlier run of the program must not name other jobs now.
  return fmt::format("{:x}", utc_now().time_since_epoch().count());
}

JobState state_of(Result<JobResult> const& outcome, bool cancelled) {
  if (!outcome)
    return outcome.error().code == Code::kCancelled ? JobState::kCancelled : JobState::kFailed;
  // Who was told to stop and got through all the same has succeeded.
  return cancelled && !outcome->complete ? JobState::kCancelled : JobState::kSucceeded;
}

Result<JobResult> run_guarded(JobWork const& work, JobControl& control) {
  try {
    return work(control);
  } catch (std::exception const& thrown) {
    return fail(Code::kInternal, fmt::format("the job broke: {}", thrown.what()));
  }
}

}  // namespace

std::string_view to_string(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "queued";
    case JobState::kRunning:
      return "running";
    case JobState::kSucceeded:
      return "succeeded";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
  }
  return "failed";
}

bool is_ended(JobState state) { return state != JobState::kQueued && state != JobState::kRunning; }

class JobBook::State {
 public:
  explicit State(Options options)
      : options_(options), first_part_(first_part_of_ids()), worker_([this] { work(); }) {}

  Result<Job> add(std::string kind, json::object request, JobWork work,
                  std::optional<std::string> retry_of) {
    std::lock_guard const lock(mutex_);
    return add_locked(std::move(kind), std::move(request), std::move(work), std::move(retry_of));
  }

  Result<Job> find(std::string_view id) const {
    std::lock_guard const lock(mutex_);
    auto const entry = entry_of(id);
    if (!entry) return unknown(id);
    return entry->job;
  }

  std::vector<Job> list() const {
    std::lock_guard const lock(mutex_);
    std::vector<Job> out;
    out.reserve(entries_.size());
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
      out.push_back(without_result((*entry)->job));
    return out;
  }

  Result<Job> cancel(std::string_view id) {
    std::lock_guard const lock(mutex_);
    auto const entry = entry_of(id);
    if (!entry) return unknown(id);
    cancel_locked(*entry);
    Job job = entry->job;
    forget_old();
    return job;
  }

  Result<Job> retry(std::string_view id) {
    std::lock_guard const lock(mutex_);
    auto const entry = entry_of(id);
    if (!entry) return unknown(id);
    if (!is_ended(entry->job.state))
      return fail(Code::kFailedPrecondition,
                  fmt::format("job {} has not ended; cancel it first, or wait", id));
    return add_locked(entry->job.kind, entry->job.request, entry->work, entry->job.id);
  }

  Status watch(std::string_view id, Watcher seen) {
    std::lock_guard const lock(mutex_);
    auto const entry = entry_of(id);
    if (!entry) return unknown(id);
    if (seen(entry->job) && !is_ended(entry->job.state)) entry->watchers.push_back(std::move(seen));
    return {};
  }

  void close() {
    {
      std::lock_guard const lock(mutex_);
      closed_ = true;
      for (auto const& entry : entries_) cancel_locked(*entry);
    }
    changed_.notify_all();
  }

  void shutdown() {
    close();
    std::lock_guard const joining(join_mutex_);
    if (worker_.joinable()) worker_.join();
  }

 private:
  struct Entry {
    Job job;
    JobWork work;
    std::atomic<bool> cancelled = false;
    std::vector<Watcher> watchers;
    Clock::time_point told_at{};
    std::size_t result_bytes = 0;
  };

  /// The running job's way to its entry.
  class Control final : public JobControl {
   public:
    Control(State& state, Entry& entry) : state_(state), entry_(entry) {}
    [[nodiscard]] bool is_cancelled() const override {
      return entry_.cancelled.load(std::memory_order_relaxed);
    }
    void show(JobProgress progress) override {
      std::lock_guard const lock(state_.mutex_);
      entry_.job.progress = std::move(progress);
      auto const now = Clock::now();
      if (now - entry_.told_at < state_.options_.watch_every) return;
      entry_.told_at = now;
      tell(entry_);
    }
    void remark(std::string words) override {
      std::lock_guard const lock(state_.mutex_);
      if (entry_.job.remarks.size() < kMostRemarks) entry_.job.remarks.push_back(std::move(words));
    }

   private:
    State& state_;
    Entry& entry_;
  };

  static Job without_result(Job const& job) {
    Job out;
    out.id = job.id;
    out.kind = job.kind;
    out.request = job.request;
    out.state = job.state;
    out.created = job.created;
    out.started = job.started;
    out.ended = job.ended;
    out.progress = job.progress;
    out.remarks = job.remarks;
    if (job.result) out.result = JobResult{nullptr, job.result->complete};
    out.error = job.error;
    out.retry_of = job.retry_of;
    return out;
  }

  static tl::unexpected<Error> unknown(std::string_view id) {
    return fail(Code::kNotFound, fmt::format("there is no job '{}'", id));
  }

  static void tell(Entry& entry) {
    std::erase_if(entry.watchers, [&](Watcher const& seen) { return !seen(entry.job); });
    if (is_ended(entry.job.state)) entry.watchers.clear();
  }

  std::shared_ptr<Entry> entry_of(std::string_view id) const {
    auto const found = std::ranges::find_if(
        entries_, [&](std::shared_ptr<Entry> const& entry) { return entry->job.id == id; });
    return found == entries_.end() ? nullptr : *found;
  }

  Result<Job> add_locked(std::string kind, json::object request, JobWork work,
                         std::optional<std::string> retry_of) {
    if (closed_) return fail(Code::kUnavailable, "the server is stopping; no new job is taken");
    if (waiting_.size() >= options_.queued)
      return fail(Code::kUnavailable,
                  fmt::format("no more than {} can wait; try again when some of them are done",
                              counted(options_.queued, "job")));
    auto entry = std::make_shared<Entry>();
    entry->job.id = fmt::format("{}-{}", first_part_, ++last_number_);
    entry->job.kind = std::move(kind);
    entry->job.request = std::move(request);
    entry->job.created = utc_now();
    entry->job.retry_of = std::move(retry_of);
    entry->work = std::move(work);
    entries_.push_back(entry);
    waiting_.push_back(entry);
    changed_.notify_one();
    return entry->job;
  }

  void cancel_locked(Entry& entry) {
    if (is_ended(entry.job.state)) return;
    entry.cancelled = true;
    if (entry.job.state == JobState::kRunning) return;
    std::erase_if(waiting_, [&](auto const& one) { return one.get() == &entry; });
    entry.job.error = Error{Code::kCancelled, "cancelled before it began"};
    end(entry, JobState::kCancelled);
  }

  static void end(Entry& entry, JobState state) {
    entry.job.state = state;
    entry.job.ended = utc_now();
    tell(entry);
  }

  void work() {
    while (auto const entry = next()) {
      Control control(*this, *entry);
      auto outcome = run_guarded(entry->work, control);
      std::size_t const bytes = outcome ? json::serialize(outcome->value).size() : 0;
      std::lock_guard const lock(mutex_);
      auto const state = state_of(outcome, entry->cancelled);
      if (outcome) {
        entry->job.result = *std::move(outcome);
        entry->result_bytes = bytes;
      } else {
        entry->job.error = std::move(outcome).error();
      }
      end(*entry, state);
      forget_old();
    }
  }

  std::shared_ptr<Entry> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
    if (waiting_.empty()) return nullptr;
    auto entry = waiting_.front();
    waiting_.pop_front();
    entry->job.state = JobState::kRunning;
    entry->job.started = utc_now();
    tell(*entry);
    return entry;
  }

  /// The oldest ended jobs, until the rest keeps the bounds.
  void forget_old() {
    std::size_t count = 0;
    std::size_t bytes = 0;
    for (auto const& entry : entries_) {
      if (!is_ended(entry->job.state)) continue;
      ++count;
      bytes += entry->result_bytes;
    }
    while (count > options_.kept || (bytes > options_.result_bytes && count > 1)) {
      auto const oldest = std::ranges::min_element(entries_, {}, [](auto const& entry) {
        return entry->job.ended.value_or(UtcTime::max());
      });
      --count;
      bytes -= (*oldest)->result_bytes;
      entries_.erase(oldest);
    }
  }

  Options const options_;
  std::string const first_part_;
  mutable std::mutex mutex_;  // guards everything below but worker_
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Entry>> entries_;  // in the order of their ids
  std::deque<std::shared_ptr<Entry>> waiting_;
  std::uint64_t last_number_ = 0;
  bool closed_ = false;
  std::mutex join_mutex_;
  std::thread worker_;  // last: it uses what stands above
};

JobBook::JobBook(Options options) : state_(std::make_unique<State>(options)) {}
JobBook::~JobBook() { shutdown(); }

Result<Job> JobBook::add(std::string kind, json::object request, JobWork work) {
  return state_->add(std::move(kind), std::move(request), std::move(work), std::nullopt);
}
Result<Job> JobBook::find(std::string_view id) const { return state_->find(id); }
std::vector<Job> JobBook::list() const { return state_->list(); }
Result<Job> JobBook::cancel(std::string_view id) { return state_->cancel(id); }
Result<Job> JobBook::retry(std::string_view id) { return state_->retry(id); }
Status JobBook::watch(std::string_view id, Watcher seen) {
  return state_->watch(id, std::move(seen));
}
void JobBook::close() { state_->close(); }
void JobBook::shutdown() { state_->shutdown(); }

}  // namespace homelab::jobs
