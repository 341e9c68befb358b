#include "log_book.h"

#include <algorithm>
#include <utility>

namespace homelab::engine {

void LogBook::put(std::string const& model, std::shared_ptr<LogFile> log) {
  std::lock_guard const lock(mutex_);
  entries_[model] = {++last_number_, std::move(log)};
  if (entries_.size() <= kMost) return;
  // An engine that runs keeps its log alive itself: of such a one only the way to it is forgotten.
  entries_.erase(
      std::min_element(entries_.begin(), entries_.end(), [](auto const& a, auto const& b) {
        bool const a_runs = a.second.log.use_count() > 1;
        bool const b_runs = b.second.log.use_count() > 1;
        return a_runs != b_runs ? b_runs : a.second.number < b.second.number;
      }));
}

std::shared_ptr<LogFile> LogBook::find(std::string const& model) const {
  std::lock_guard const lock(mutex_);
  auto const found = entries_.find(model);
  return found == entries_.end() ? nullptr : found->second.log;
}

}  // namespace homelab::engine
