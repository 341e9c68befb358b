// Random days in the life of a schedule: whatever happens, every request is answered once.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "schedule.h"

namespace homelab::engine {
namespace {

using LoadResult = Schedule::LoadResult;
using std::chrono::seconds;

/// Plays the world for a schedule: runs what it starts, counts tickets, and looks for what must
/// never happen.
class World {
 public:
  void step(int action, int choice) {
    now_ += seconds(choice);
    std::string const model(1, static_cast<char>('a' + choice % 4));
    switch (action) {
      case 0:
        return take(schedule_.load_requested(ask(), model, choice % 2 == 0,
                                             choice % 3 == 0 ? Place::kBeside : Place::kInstead));
      case 1:
        return take(schedule_.unload_requested(ask(), choice % 2 == 0 ? model : ""));
      case 2:
        return take(schedule_.use_requested(ask(), choice % 5 == 0 ? "" : model, now_,
                                            seconds(choice - 5)));
      case 3:
        return end_a_use(choice);
      case 4:
        return go_on_with_the_load(choice);
      case 5:
        return end_a_stop();
      case 6:
        return let_one_die(choice);
      default:
        return take(schedule_.tick(now_));
    }
  }
  void finish() {
    take(schedule_.shutdown_requested());
    take(schedule_.stop_requested());
    for (int i = 0; i < 100 && (loading_ || !stopping_.empty()); ++i) {
      go_on_with_the_load(i);
      end_a_stop();
    }
  }
  [[nodiscard]] bool all_answered_once() const {
    for (auto const& [ticket, answers] : answers_)
      if (answers != 1) return false;
    return true;
  }
  [[nodiscard]] bool idle() const { return schedule_.idle() && !loading_; }
  [[nodiscard]] std::string const& wrong() const { return wrong_; }

 private:
  static constexpr std::size_t kMaxModels = 2;

  void expect(bool right, std::string const& what) {
    if (!right && wrong_.empty()) wrong_ = what;
  }
  Ticket ask() {
    answers_[++last_ticket_] = 0;
    return last_ticket_;
  }
  void gone(std::string const& model) {
    expect(up_.erase(model) == 1, "what is not loaded was told to go: " + model);
    std::erase_if(uses_, [&](auto const& use) { return use.second == model; });
  }
  void take(Effects const& effects) {
    for (auto const& effect : effects) std::visit([this](auto const& one) { apply(one); }, effect);
    for (auto const& [ticket, model] : uses_)
      expect(up_.contains(model), "a use without its model: " + model);
    expect(schedule_.current().empty() || up_.contains(schedule_.current()),
           "the loaded model is not loaded: " + schedule_.current());
  }
  void apply(StartLoad const& start) {
    expect(!loading_ && stopping_.empty(), "two things at a time");
    expect(!up_.contains(start.model), "a load of what is loaded: " + start.model);
    loading_ = start;
    began_ = asked_ = granted_ = cancelled_ = false;
  }
  void apply(CancelLoad const&) {
    expect(loading_.has_value(), "a cancel without a load");
    cancelled_ = true;
  }
  void apply(StopEngine const& stop) {
    gone(stop.model);
    stopping_.insert(stop.model);
  }
  void apply(MeasureRoom const&) {
    std::map<std::string, std::uint64_t> bytes;
    for (auto const& model : up_) bytes[model] = 10;
    take(schedule_.room_measured(30 - 10 * up_.size(), bytes, now_));
  }
  void apply(GrantRoom const& grant) {
    expect(asked_ && !granted_, "room that nobody asked for");
    granted_ = true;
    for (auto const& model : grant.leaving) {
      for (auto const& [ticket, used] : uses_)
        expect(used != model, "a model left in the middle of a use");
      gone(model);
    }
    expect(up_.size() < kMaxModels, "too many models at once");
  }
  void apply(DenyRoom const&) { denied_ = true; }
  void apply(Answer const& answer) {
    ++answers_[answer.ticket];
    if (answer.reply == Reply::kUse) uses_[answer.ticket] = answer.model;
  }

  void end_a_use(int choice) {
    if (uses_.empty()) return;
    auto const use = *std::next(uses_.begin(), choice % static_cast<int>(uses_.size()));
    uses_.erase(use.first);
    take(schedule_.use_ended(use.first, choice % 4 != 0, now_));
  }
  void go_on_with_the_load(int choice) {
    if (!loading_) return;
    if (!began_ && choice % 5 == 0) return end_load(LoadResult::kRefused);
    if (!began_) {
      began_ = true;
      std::string const before = schedule_.current();
      schedule_.load_began();
      if (loading_->place == Place::kInstead && !before.empty()) gone(before);
    } else if (cancelled_) {
      end_load(choice % 2 == 0 && granted_ ? LoadResult::kLoaded : LoadResult::kCancelled);
    } else if (!asked_) {
      asked_ = true;
      take(schedule_.room_wanted(choice % 7 == 0 ? 50 : 10, now_));
    } else if (std::exchange(denied_, false)) {
      end_load(LoadResult::kFailed);
    } else if (granted_) {
      end_load(choice % 4 == 0 ? LoadResult::kFailed : LoadResult::kLoaded);
    }
  }
  void end_load(LoadResult result) {
    if (result == LoadResult::kLoaded) up_.insert(loading_->model);
    loading_.reset();
    denied_ = false;
    take(schedule_.load_ended(result, now_));
  }
  void end_a_stop() {
    if (stopping_.empty()) return;
    auto const model = stopping_.extract(stopping_.begin());
    take(schedule_.engine_stopped(model.value()));
  }
  void let_one_die(int choice) {
    if (up_.empty()) return;
    auto const model = *std::next(up_.begin(), choice % static_cast<int>(up_.size()));
    gone(model);
    take(schedule_.engine_died(model, now_));
  }

  Schedule schedule_{{.max_waiting = 20, .max_models = kMaxModels, .keep_alive = seconds(30)}};
  Time now_{};
  std::optional<StartLoad> loading_;
  bool began_ = false, asked_ = false, granted_ = false, cancelled_ = false, denied_ = false;
  std::set<std::string> up_, stopping_;
  std::map<Ticket, std::string> uses_;
  Ticket last_ticket_ = 0;
  std::map<Ticket, int> answers_;
  std::string wrong_;
};

RC_GTEST_PROP(Schedule, AnswersEveryRequestOnceAndNeverTakesAModelOutOfUse, ()) {
  World world;
  auto const steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 8), rc::gen::inRange(0, 12)));
  for (auto const& [action, choice] : steps) world.step(action, choice);
  world.finish();
  RC_ASSERT(world.wrong() == "");
  RC_ASSERT(world.all_answered_once());
  RC_ASSERT(world.idle());
}

}  // namespace
}  // namespace homelab::engine
