#include "api/model_feed.h"

#include <utility>
#include <vector>

namespace homelab::api {
namespace {

using State = engine::ModelChange::State;

/// The first event of a load has another name than those that follow it, as in llama.cpp.
json::object event_of(engine::ModelChange const& change) {
  json::object data;
  std::string_view name = "status_change";
  switch (change.state) {
    case State::kLoading:
      name = "model_status";
      data["status"] = "loading";
      break;
    case State::kLoaded:
      data["status"] = "loaded";
      data["info"] = {{"id", change.model}, {"object", "model"}};
      break;
    case State::kUnloaded:
      data["status"] = "unloaded";
      data["exit_code"] = change.error.empty() ? 0 : 1;
      if (!change.error.empty()) data["error"] = change.error;  // ours
      break;
  }
  return {{"model", change.model}, {"event", name}, {"data", std::move(data)}};
}

}  // namespace

class ModelFeed::Watching final : public engine::Running {
 public:
  Watching(ModelFeed& feed, std::uint64_t number) : feed_(feed), number_(number) {}
  void cancel() override { feed_.forget(number_); }

 private:
  ModelFeed& feed_;
  std::uint64_t const number_;
};

std::shared_ptr<engine::Running> ModelFeed::watch(Watcher watcher) {
  std::unique_lock lock(mutex_);
  auto const number = ++last_number_;
  if (!closed_) {
    watchers_[number] = std::make_shared<Watcher const>(std::move(watcher));
  } else {
    lock.unlock();
    watcher.on_end();
  }
  return std::make_shared<Watching>(*this, number);
}

void ModelFeed::model_changed(engine::ModelChange const& change) { tell(event_of(change)); }

void ModelFeed::model_removed(std::string const& model) {
  tell({{"model", model}, {"event", "model_remove"}});
}

void ModelFeed::list_changed() { tell({{"model", "*"}, {"event", "models_reload"}}); }

void ModelFeed::tell(json::object const& event) {
  // Outside the lock: a watcher whose client is gone cancels from inside its call.
  std::vector<std::shared_ptr<Watcher const>> all;
  {
    std::lock_guard const lock(mutex_);
    for (auto const& [number, watcher] : watchers_) all.push_back(watcher);
  }
  for (auto const& watcher : all) watcher->on_event(event);
}

void ModelFeed::forget(std::uint64_t number) {
  std::shared_ptr<Watcher const> dropped;  // outside the lock: it owns other objects
  std::lock_guard const lock(mutex_);
  auto const found = watchers_.find(number);
  if (found == watchers_.end()) return;
  dropped = std::move(found->second);
  watchers_.erase(found);
}

void ModelFeed::close() {
  std::map<std::uint64_t, std::shared_ptr<Watcher const>> all;
  {
    std::lock_guard const lock(mutex_);
    closed_ = true;
    all.swap(watchers_);
  }
  for (auto const& [number, watcher] : all) watcher->on_end();
}

std::size_t ModelFeed::watchers() const {
  std::lock_guard const lock(mutex_);
  return watchers_.size();
}

}  // namespace homelab::api
