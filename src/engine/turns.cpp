#include "turns.h"

#include <algorithm>

namespace homelab::engine {

bool Turns::fits(Waiting const& task) const {
  if (working_.contains(task.model) || task.threads == 0) return true;
  unsigned used = 0;
  for (auto const& [model, working] : working_) used += working.threads;
  // A model that wants more than the whole budget works alone.
  return used == 0 || used + task.threads <= budget_;
}

std::vector<Ticket> Turns::begin_what_may(Time now) {
  std::vector<Ticket> begin;
  bool stop = false;
  for (auto next = waiting_.begin(); next != waiting_.end() && !stop;) {
    if (fits(*next)) {
      begin.push_back(next->ticket);
      model_of_[next->ticket] = next->model;
      auto& working = working_[next->model];
      ++working.tasks;
      working.threads = next->threads;
      next = waiting_.erase(next);
    } else {
      // Who has waited long enough is not overtaken any more.
      stop = now - next->since >= max_wait_;
      ++next;
    }
  }
  return begin;
}

std::vector<Ticket> Turns::enter(Ticket ticket, std::string const& model, unsigned threads,
                                 Time now) {
  waiting_.push_back({ticket, model, threads, now});
  return begin_what_may(now);
}

std::vector<Ticket> Turns::leave(Ticket ticket, Time now) {
  if (auto const working = model_of_.extract(ticket)) {
    auto const found = working_.find(working.mapped());
    if (--found->second.tasks == 0) working_.erase(found);
  } else {
    std::erase_if(waiting_, [&](Waiting const& task) { return task.ticket == ticket; });
  }
  return begin_what_may(now);
}

}  // namespace homelab::engine
