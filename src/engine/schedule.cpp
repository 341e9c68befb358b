#include "schedule.h"

#include <algorithm>
#include <utility>

namespace homelab::engine {
namespace {

void answer_all(Effects& effects, std::vector<Ticket>& tickets, Reply reply) {
  for (Ticket const ticket : tickets) effects.emplace_back(Answer{ticket, reply});
  tickets.clear();
}

}  // namespace

std::size_t Schedule::waiting() const {
  std::size_t count = unloads_.size() + current_.tickets.size();
  for (auto const& entry : queue_) count += entry.tickets.size();
  return count;
}

bool Schedule::joins_current(std::string const& model, bool force) const {
  return phase_ == Phase::kLoading && !cancelling_ && queue_.empty() && current_.model == model &&
         (current_.force || !force);
}

Effects Schedule::load_requested(Ticket ticket, std::string const& model, bool force) {
  if (shutting_down_) return {Answer{ticket, Reply::kShuttingDown}};
  if (phase_ == Phase::kLoaded && loaded_ == model) return {Answer{ticket, Reply::kAlreadyLoaded}};
  if (waiting() >= max_waiting_) return {Answer{ticket, Reply::kTooMany}};
  if (joins_current(model, force)) {
    current_.tickets.push_back(ticket);
    return {};
  }
  if (!queue_.empty() && queue_.back().model == model) {
    queue_.back().tickets.push_back(ticket);
    queue_.back().force = queue_.back().force || force;
    return {};
  }
  queue_.push_back({model, force, {ticket}});
  Effects effects;
  if (phase_ == Phase::kEmpty || phase_ == Phase::kLoaded) start_next(effects);
  return effects;
}

Effects Schedule::unload_requested(Ticket ticket) {
  if (shutting_down_) return {Answer{ticket, Reply::kShuttingDown}};
  if (phase_ == Phase::kEmpty) return {Answer{ticket, Reply::kNothingLoaded}};
  if (waiting() >= max_waiting_) return {Answer{ticket, Reply::kTooMany}};
  unloads_.push_back(ticket);
  Effects effects;
  if (phase_ == Phase::kLoaded) stop(effects);
  if (phase_ == Phase::kLoading && !std::exchange(cancelling_, true))
    effects.emplace_back(CancelLoad{});
  return effects;
}

void Schedule::load_began() { loaded_.clear(); }

Effects Schedule::load_ended(LoadResult result) {
  Effects effects;
  if (phase_ != Phase::kLoading) return effects;
  answer_all(effects, current_.tickets, Reply::kLoadOutcome);
  bool const unload = std::exchange(cancelling_, false);
  if (result == LoadResult::kLoaded) loaded_ = current_.model;
  if (result == LoadResult::kFailed) loaded_.clear();
  current_ = {};
  phase_ = loaded_.empty() ? Phase::kEmpty : Phase::kLoaded;
  if (unload && phase_ == Phase::kLoaded) {
    stop(effects);
    return effects;
  }
  answer_all(effects, unloads_, Reply::kUnloaded);
  start_next(effects);
  return effects;
}

Effects Schedule::engine_stopped() {
  Effects effects;
  if (phase_ != Phase::kStopping) return effects;
  phase_ = Phase::kEmpty;
  loaded_.clear();
  answer_all(effects, unloads_, Reply::kUnloaded);
  start_next(effects);
  return effects;
}

Effects Schedule::engine_died() {
  Effects effects;
  if (phase_ != Phase::kLoaded) return effects;
  phase_ = Phase::kEmpty;
  loaded_.clear();
  start_next(effects);
  return effects;
}

Effects Schedule::shutdown_requested() {
  Effects effects;
  if (std::exchange(shutting_down_, true)) return effects;
  for (auto& entry : queue_) answer_all(effects, entry.tickets, Reply::kShuttingDown);
  queue_.clear();
  if (phase_ == Phase::kLoading && !std::exchange(cancelling_, true))
    effects.emplace_back(CancelLoad{});
  return effects;
}

Effects Schedule::stop_requested() {
  Effects effects;
  if (phase_ == Phase::kLoaded) stop(effects);
  return effects;
}

bool Schedule::in_use(std::string const& model) const {
  if (!loaded_.empty() && loaded_ == model) return true;
  if (phase_ == Phase::kLoading && current_.model == model) return true;
  return std::any_of(queue_.begin(), queue_.end(),
                     [&](Waiting const& entry) { return entry.model == model; });
}

void Schedule::start_next(Effects& effects) {
  while (!queue_.empty()) {
    Waiting next = std::move(queue_.front());
    queue_.pop_front();
    if (phase_ == Phase::kLoaded && loaded_ == next.model) {
      answer_all(effects, next.tickets, Reply::kAlreadyLoaded);
      continue;
    }
    phase_ = Phase::kLoading;
    effects.emplace_back(StartLoad{next.model, next.force});
    current_ = std::move(next);
    return;
  }
}

void Schedule::stop(Effects& effects) {
  phase_ = Phase::kStopping;
  effects.emplace_back(StopEngine{});
}

}  // namespace homelab::engine
