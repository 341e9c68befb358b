#pragma once
// Tells everybody who watches what happens to the models, in the words of llama.cpp's router
// (llama.cpp v0.5.0, GET /models/sse).
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/json.h"
#include "engine/engine_service.h"

namespace homelab::api {

/// Thread-safe. Must outlive those who tell and the server.
class ModelFeed {
 public:
  /// Called in the order of events, on the thread that tells; must not block.
  struct Watcher {
    std::function<void(json::object const& event)> on_event;
    std::function<void()> on_end;  ///< last; not after Running::cancel()
  };
  /// Until the returned object is cancelled. Dropping that does nothing.
  [[nodiscard]] std::shared_ptr<engine::Running> watch(Watcher watcher);

  void model_changed(engine::ModelChange const& change);
  void model_removed(std::string const& model);
  /// Models were registered: whoever shows the list asks for it again.
  void list_changed();
  /// Ends all watching, also that which begins later.
  void close();

  [[nodiscard]] std::size_t watchers() const;

 private:
  class Watching;
  void tell(json::object const& event);
  void forget(std::uint64_t number);

  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Watcher const>> watchers_;  // guarded by mutex_
  std::uint64_t last_number_ = 0;                                     // guarded by mutex_
  bool closed_ = false;                                               // guarded by mutex_
};

}  // namespace homelab::api
