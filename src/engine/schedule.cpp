#include "schedule.h"

#include <algorithm>
#include <utility>

namespace homelab::engine {
namespace {

void answer_all(Effects& effects, std::vector<Ticket>& tickets, Reply reply,
                std::string const& model = {}) {
  for (Ticket const ticket : tickets) effects.emplace_back(Answer{ticket, reply, model});
  tickets.clear();
}

}  // namespace

std::size_t Schedule::waiting() const {
  std::size_t count = load_ ? load_->unloads.size() + load_->what.loads.size() : 0;
  if (load_) count += load_->what.uses.size();
  for (auto const& entry : queue_) count += entry.loads.size() + entry.uses.size();
  for (auto const& [model, resident] : residents_) count += resident.unloads.size();
  return count;
}

bool Schedule::is_up(std::string const& model) const {
  auto const found = residents_.find(model);
  return found != residents_.end() && !found->second.stopping;
}

bool Schedule::anything_stopping() const {
  return std::any_of(residents_.begin(), residents_.end(),
                     [](auto const& entry) { return entry.second.stopping; });
}

bool Schedule::joins_running(std::string const& model, bool force, Place place) const {
  if (!load_ || load_->cancelling || load_->what.model != model) return false;
  // A load that replaces may not overtake the ones that were asked for before it.
  return (load_->what.force || !force) && (place == Place::kBeside || queue_.empty());
}

std::optional<Seconds> Schedule::idle_time(std::optional<Seconds> wanted) const {
  Seconds const time = wanted.value_or(options_.keep_alive);
  bool const for_ever = wanted ? time < Seconds(0) : time == Seconds(0);
  return for_ever ? std::nullopt : std::optional(time);
}

// ---- Requests ----

Effects Schedule::load_requested(Ticket ticket, std::string const& model, bool force, Place place) {
  if (shutting_down_) return {Answer{ticket, Reply::kShuttingDown, model}};
  Effects effects;
  if (is_up(model)) {
    if (place == Place::kInstead) make_current(effects, model);
    effects.emplace_back(Answer{ticket, Reply::kAlreadyLoaded, model});
    return effects;
  }
  if (waiting() >= options_.max_waiting) return {Answer{ticket, Reply::kTooMany, model}};
  if (joins_running(model, force, place)) {
    load_->what.loads.push_back(ticket);
    if (place == Place::kInstead) load_->what.place = place;
    return {};
  }
  bool const joins_last = !queue_.empty() && queue_.back().model == model;
  if (!joins_last) queue_.push_back({model, force, place, {}, {}});
  auto& last = queue_.back();
  last.loads.push_back(ticket);
  last.force = last.force || force;
  if (place == Place::kInstead) last.place = place;
  start_next(effects);
  return effects;
}

Answer Schedule::use(Ticket ticket, std::string const& model, std::optional<Seconds> keep_alive) {
  auto& resident = residents_.at(model);
  resident.uses.insert(ticket);
  resident.keep_alive = idle_time(keep_alive);
  return {ticket, Reply::kUse, model};
}

Effects Schedule::use_requested(Ticket ticket, std::string const& wanted, Time now,
                                std::optional<Seconds> keep_alive) {
  std::string const model = wanted.empty() ? current_ : wanted;
  if (shutting_down_) return {Answer{ticket, Reply::kShuttingDown, model}};
  if (model.empty()) return {Answer{ticket, Reply::kNothingLoaded, model}};
  if (is_up(model) && !must_rest(model)) return {use(ticket, model, keep_alive)};
  if (waiting() >= options_.max_waiting) return {Answer{ticket, Reply::kTooMany, model}};
  if (load_ && load_->what.model == model && !load_->cancelling) {
    load_->what.uses.emplace(ticket, keep_alive);
    return {};
  }
  if (retry_after(model, now).count() > 0) return {Answer{ticket, Reply::kBackingOff, model}};
  auto const queued = std::find_if(queue_.begin(), queue_.end(),
                                   [&](Waiting const& entry) { return entry.model == model; });
  if (queued != queue_.end()) {
    queued->uses.emplace(ticket, keep_alive);
    return {};
  }
  queue_.push_back({model, false, Place::kBeside, {}, {{ticket, keep_alive}}});
  Effects effects;
  start_next(effects);
  return effects;
}

Effects Schedule::use_ended(Ticket ticket, bool good, Time now) {
  Effects effects;
  for (auto& [model, resident] : residents_) {
    if (resident.uses.erase(ticket) == 0) continue;
    resident.last_used = now;
    resident.lingers_until = now + options_.linger;
    if (good) retries_.erase(model);
    break;
  }
  if (load_) load_->what.uses.erase(ticket);
  for (auto& entry : queue_) entry.uses.erase(ticket);
  std::erase_if(queue_,
                [](Waiting const& entry) { return entry.loads.empty() && entry.uses.empty(); });
  ask_for_room(effects);
  unload_idle(effects, now);
  return effects;
}

Effects Schedule::unload_requested(Ticket ticket, std::string const& wanted) {
  if (shutting_down_) return {Answer{ticket, Reply::kShuttingDown, wanted}};
  bool const load_is_meant =
      load_ && (wanted.empty() ? current_.empty() || load_->what.place == Place::kInstead
                               : load_->what.model == wanted);
  std::string const model = wanted.empty() ? current_ : wanted;
  if (!load_is_meant && !residents_.contains(model))
    return {Answer{ticket, Reply::kNothingLoaded, model}};
  if (waiting() >= options_.max_waiting) return {Answer{ticket, Reply::kTooMany, model}};
  Effects effects;
  if (load_is_meant) {
    load_->unloads.push_back(ticket);
    if (!std::exchange(load_->cancelling, true)) effects.emplace_back(CancelLoad{});
  } else {
    residents_.at(model).unloads.push_back(ticket);
    stop(effects, model);
  }
  return effects;
}

// ---- The running load ----

void Schedule::load_began() {
  if (load_ && load_->what.place == Place::kInstead) {
    residents_.erase(current_);
    current_.clear();
  }
}

Effects Schedule::room_wanted(std::uint64_t needed_bytes, Time now) {
  Effects effects;
  if (load_) load_->room = Room{needed_bytes, now};
  ask_for_room(effects);
  return effects;
}

void Schedule::ask_for_room(Effects& effects) const {
  // What is stopping gives its memory back in a moment.
  if (load_ && load_->room && !load_->cancelling && !anything_stopping())
    effects.emplace_back(MeasureRoom{});
}

Effects Schedule::room_measured(std::uint64_t free_bytes,
                                std::map<std::string, std::uint64_t> const& resident_bytes,
                                Time now, std::uint64_t promised_bytes) {
  if (!load_ || !load_->room || load_->cancelling || anything_stopping()) return {};
  bool const patient = now - load_->room->since < options_.max_wait;
  std::vector<Resident> residents;
  for (auto const& [model, resident] : residents_) {
    auto const bytes = resident_bytes.find(model);
    residents.push_back(
        {.model = model,
         .bytes = bytes == resident_bytes.end() ? 0 : bytes->second,
         .pinned = is_pinned(model),
         .busy = !resident.uses.empty() || (patient && now < resident.lingers_until),
         .last_used = resident.last_used});
  }
  auto const admission =
      admit({load_->room->needed_bytes, free_bytes, options_.max_models, promised_bytes},
            std::move(residents));
  resting_.clear();
  if (admission.kind == Admission::Kind::kWaits) {
    if (!patient) resting_.insert(admission.leaving.begin(), admission.leaving.end());
    return {};
  }
  load_->room.reset();
  if (admission.kind == Admission::Kind::kNever) return {DenyRoom{}};
  for (auto const& model : admission.leaving) {
    residents_.erase(model);
    if (current_ == model) current_.clear();
  }
  return {GrantRoom{admission.leaving}};
}

Effects Schedule::load_ended(LoadResult result, Time now) {
  Effects effects;
  if (!load_) return effects;
  Running ended = std::move(*load_);
  load_.reset();
  resting_.clear();
  std::string const& model = ended.what.model;
  if (result == LoadResult::kFailed || result == LoadResult::kDied) back_off(model, now);
  if (result == LoadResult::kDied) ++retries_.at(model).deaths;
  if (result == LoadResult::kFailed) retries_.at(model).deaths = 0;
  if (result == LoadResult::kLoaded) {
    retries_.erase(model);
    auto& resident = residents_[model];
    resident.last_used = resident.lingers_until = now;
    resident.keep_alive = idle_time(std::nullopt);
  }
  answer_all(effects, ended.what.loads, Reply::kLoadOutcome, model);
  bool const stays = result == LoadResult::kLoaded && !ended.cancelling;
  for (auto const& [ticket, keep_alive] : ended.what.uses) {
    effects.emplace_back(stays ? use(ticket, model, keep_alive)
                               : Answer{ticket, Reply::kLoadOutcome, model});
  }
  if (result == LoadResult::kLoaded && !stays) {
    residents_.at(model).unloads = std::move(ended.unloads);
    stop(effects, model);
    return effects;
  }
  if (stays && (ended.what.place == Place::kInstead || current_.empty()))
    make_current(effects, model);
  answer_all(effects, ended.unloads, Reply::kUnloaded, model);
  start_next(effects);
  return effects;
}

void Schedule::start_next(Effects& effects) {
  while (!queue_.empty() && !load_ && !anything_stopping()) {
    Waiting next = std::move(queue_.front());
    queue_.pop_front();
    if (is_up(next.model)) {
      if (next.place == Place::kInstead) make_current(effects, next.model);
      answer_all(effects, next.loads, Reply::kAlreadyLoaded, next.model);
      for (auto const& [ticket, keep_alive] : next.uses)
        effects.emplace_back(use(ticket, next.model, keep_alive));
      continue;
    }
    effects.emplace_back(StartLoad{next.model, next.force, next.place});
    load_.emplace(Running{std::move(next), false, {}, std::nullopt});
  }
}

void Schedule::back_off(std::string const& model, Time now) {
  // Those that are over need no more memory.
  std::erase_if(retries_, [&](auto const& entry) {
    return entry.first != model && entry.second.until + options_.longest_retry < now;
  });
  auto const [entry, first] = retries_.try_emplace(model, Retry{now, options_.first_retry, 0});
  if (!first) entry->second.delay = std::min(entry->second.delay * 2, options_.longest_retry);
  entry->second.until = now + entry->second.delay;
}

std::chrono::milliseconds Schedule::retry_after(std::string const& model, Time now) const {
  auto const found = retries_.find(model);
  if (found == retries_.end() || found->second.until <= now) return std::chrono::milliseconds(0);
  return std::chrono::ceil<std::chrono::milliseconds>(found->second.until - now);
}

std::chrono::milliseconds Schedule::load_retry_after(std::string const& model, Time now) const {
  constexpr unsigned kManyDeaths = 2;
  auto const found = retries_.find(model);
  bool const often = found != retries_.end() && found->second.deaths >= kManyDeaths;
  return often ? retry_after(model, now) : std::chrono::milliseconds(0);
}

std::map<std::string, Time> Schedule::retry_times() const {
  std::map<std::string, Time> out;
  for (auto const& [model, retry] : retries_) out[model] = retry.until;
  return out;
}

// ---- Engines ----

void Schedule::make_current(Effects& effects, std::string const& model) {
  if (current_ == model) return;
  std::string const before = std::exchange(current_, model);
  if (!before.empty()) stop(effects, before);
}

void Schedule::stop(Effects& effects, std::string const& model) {
  auto& resident = residents_.at(model);
  if (current_ == model) current_.clear();
  if (std::exchange(resident.stopping, true)) return;
  resident.uses.clear();
  effects.emplace_back(StopEngine{model});
}

/// It is not there any more.
void Schedule::forget(Effects& effects, std::string const& model) {
  auto resident = residents_.extract(model);
  if (resident.empty()) return;
  if (current_ == model) current_.clear();
  answer_all(effects, resident.mapped().unloads, Reply::kUnloaded, model);
}

Effects Schedule::engine_stopped(std::string const& model) {
  Effects effects;
  forget(effects, model);
  ask_for_room(effects);
  start_next(effects);
  return effects;
}

Effects Schedule::engine_died(std::string const& model, Time now) {
  if (!is_up(model)) return {};
  back_off(model, now);
  return engine_stopped(model);
}

void Schedule::unload_idle(Effects& effects, Time now) {
  for (auto const& [model, resident] : residents_) {
    bool const may_go = !resident.stopping && resident.uses.empty() && !is_pinned(model);
    if (may_go && resident.keep_alive && now - resident.last_used >= *resident.keep_alive)
      stop(effects, model);
  }
}

Effects Schedule::tick(Time now) {
  Effects effects;
  ask_for_room(effects);
  unload_idle(effects, now);
  return effects;
}

std::optional<Time> Schedule::next_tick(Time now) const {
  std::optional<Time> next;
  auto const at = [&](Time when) {
    if (when > now) next = next ? std::min(*next, when) : when;
  };
  bool const room = load_ && load_->room;
  if (room && resting_.empty()) at(load_->room->since + options_.max_wait);
  for (auto const& [model, resident] : residents_) {
    if (resident.stopping || !resident.uses.empty()) continue;
    if (room && resting_.empty()) at(resident.lingers_until);
    if (resident.keep_alive && !is_pinned(model)) at(resident.last_used + *resident.keep_alive);
  }
  return next;
}

Effects Schedule::shutdown_requested() {
  Effects effects;
  if (std::exchange(shutting_down_, true)) return effects;
  for (auto& entry : queue_) {
    answer_all(effects, entry.loads, Reply::kShuttingDown, entry.model);
    for (auto const& [ticket, keep_alive] : entry.uses)
      effects.emplace_back(Answer{ticket, Reply::kShuttingDown, entry.model});
  }
  queue_.clear();
  if (load_ && !std::exchange(load_->cancelling, true)) effects.emplace_back(CancelLoad{});
  return effects;
}

Effects Schedule::stop_requested() {
  Effects effects;
  for (auto const& [model, resident] : residents_) stop(effects, model);
  return effects;
}

bool Schedule::in_use(std::string const& model) const {
  if (residents_.contains(model) || (load_ && load_->what.model == model)) return true;
  return std::any_of(queue_.begin(), queue_.end(),
                     [&](Waiting const& entry) { return entry.model == model; });
}

}  // namespace homelab::engine
