#include "task_desk.h"

#include <utility>
#include <vector>

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxTasks = 256;
/// How long a working model may take further requests while another one waits for its turn.
constexpr milliseconds kMaxWait{20'000};
/// How long a broken connection may wait for the news that its engine died. The kernel closes a
/// dead process's sockets just before it reports the death.
constexpr milliseconds kDeathNews{1000};

}  // namespace

TaskDesk::TaskDesk(ServiceLoop& loop, unsigned thread_budget)
    : loop_(loop), turns_(thread_budget, kMaxWait) {}

bool TaskDesk::full() const { return tasks_.size() >= kMaxTasks; }

void TaskDesk::take(Ticket ticket, std::shared_ptr<EngineTask> task) {
  tasks_[ticket].task = std::move(task);
}

void TaskDesk::begin(Ticket ticket, std::shared_ptr<LoadedEngine> engine) {
  auto const found = tasks_.find(ticket);
  if (found == tasks_.end()) return;
  found->second.engine = std::move(engine);
  auto const& taken = *found->second.engine;
  start(turns_.enter(ticket, taken.info.name, taken.busy_threads, ServiceLoop::Clock::now()));
}

void TaskDesk::start(std::vector<Ticket> const& tickets) {
  for (Ticket const ticket : tickets) {
    auto const found = tasks_.find(ticket);
    if (found == tasks_.end()) continue;
    found->second.begun = true;
    auto const task = found->second.task;
    task->start(found->second.engine);
  }
}

void TaskDesk::refuse(Ticket ticket, Error error) {
  auto const found = tasks_.find(ticket);
  if (found == tasks_.end() || found->second.begun) return;
  auto const task = found->second.task;
  task->refuse(std::move(error));
}

void TaskDesk::stop_asked(EngineTask const& task) {
  if (auto reason = task.stop_reason()) refuse(task.ticket(), std::move(*reason));
}

void TaskDesk::ended(EngineTask const& task) {
  tasks_.erase(task.ticket());
  start(turns_.leave(task.ticket(), ServiceLoop::Clock::now()));
}

void TaskDesk::engine_gone(LoadedEngine const& engine, Error const& reason, Rest rest) {
  std::vector<InHand> concerned;
  for (auto const& [ticket, in_hand] : tasks_)
    if (in_hand.engine.get() == &engine) concerned.push_back(in_hand);
  for (auto const& in_hand : concerned) {
    if (!in_hand.begun) {
      in_hand.task->refuse(reason);
    } else if (in_hand.broken) {
      in_hand.task->conclude(reason);
    } else if (rest == Rest::kDropped) {
      in_hand.task->stop(reason);
    }
  }
}

void TaskDesk::connection_broke(std::shared_ptr<EngineTask> const& task, Error const& error) {
  auto const found = tasks_.find(task->ticket());
  if (found == tasks_.end()) return;
  if (found->second.engine->ended) {
    task->conclude(*found->second.engine->ended);
    return;
  }
  found->second.broken = error;
  loop_.at(ServiceLoop::Clock::now() + kDeathNews, [this, ticket = task->ticket()] {
    auto const late = tasks_.find(ticket);
    if (late == tasks_.end()) return;
    auto const in_hand = late->second;
    in_hand.task->conclude(Error(*in_hand.broken).in("the connection to the engine broke"));
  });
}

void TaskDesk::stop_all(Error const& reason) {
  auto const all = tasks_;
  for (auto const& [ticket, in_hand] : all) {
    if (in_hand.begun) {
      in_hand.task->stop(reason);
    } else {
      in_hand.task->refuse(reason);
    }
  }
}

}  // namespace homelab::engine
