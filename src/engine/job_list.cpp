#include "job_list.h"

#include <utility>

namespace homelab::engine {
namespace {

constexpr std::chrono::milliseconds kSpeedWindow{500};
constexpr double kKeepOfOldSpeed = 0.6;

}  // namespace

std::int64_t JobList::begin(std::string kind, std::string model, std::string state) {
  std::lock_guard const lock(mutex_);
  Entry entry;
  entry.view.id = ++last_id_;
  entry.view.kind = std::move(kind);
  entry.view.model = std::move(model);
  entry.view.state = std::move(state);
  entries_.push_back(std::move(entry));
  if (entries_.size() > kKept) entries_.pop_front();
  return last_id_;
}

JobList::Entry* JobList::find(std::int64_t id) {
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->view.id == id) return &*entry;
  }
  return nullptr;
}

void JobList::set_state(std::int64_t id, std::string state) {
  std::lock_guard const lock(mutex_);
  if (Entry* entry = find(id)) entry->view.state = std::move(state);
}

void JobList::set_progress(std::int64_t id, hub::Progress const& progress, Clock::time_point now) {
  std::lock_guard const lock(mutex_);
  Entry* entry = find(id);
  if (entry == nullptr) return;
  entry->view.total_bytes = progress.total_bytes;
  entry->view.downloaded_bytes = progress.downloaded_bytes;
  entry->view.done_bytes = progress.present_bytes + progress.downloaded_bytes;
  if (!entry->measured) {
    entry->measured = true;
    entry->measured_at = now;
    entry->measured_bytes = progress.downloaded_bytes;
    return;
  }
  auto const passed = now - entry->measured_at;
  if (passed < kSpeedWindow || progress.downloaded_bytes < entry->measured_bytes) return;
  double const speed = static_cast<double>(progress.downloaded_bytes - entry->measured_bytes) /
                       std::chrono::duration<double>(passed).count();
  double const old = entry->view.bytes_per_second;
  entry->view.bytes_per_second =
      old == 0 ? speed : kKeepOfOldSpeed * old + (1 - kKeepOfOldSpeed) * speed;
  entry->measured_at = now;
  entry->measured_bytes = progress.downloaded_bytes;
}

void JobList::end(std::int64_t id, Status const& outcome) {
  std::lock_guard const lock(mutex_);
  Entry* entry = find(id);
  if (entry == nullptr) return;
  entry->view.bytes_per_second = 0;
  if (outcome) {
    entry->view.state = "done";
    return;
  }
  entry->view.state = outcome.error().code == Code::kCancelled ? "cancelled" : "failed";
  entry->view.error = outcome.error().message;
}

std::vector<JobView> JobList::views() const {
  std::lock_guard const lock(mutex_);
  std::vector<JobView> out;
  out.reserve(entries_.size());
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
    out.push_back(entry->view);
  return out;
}

}  // namespace homelab::engine
