#include "hub/downloader.h"

#include <fmt/format.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "cache/bridge.h"
#include "snapshot_fetcher.h"

namespace homelab::hub {
namespace {

using namespace std::chrono_literals;

/// One download and everybody who waits for it. Each caller reports its own progress from its own
/// thread, so that nothing of a caller is used after its ensure() has returned.
struct Flight {
  std::mutex mutex;
  std::condition_variable changed;
  Progress progress;
  std::optional<Result<ReadySnapshot>> result;
  std::size_t callers = 1;
  bool unwanted = false;  ///< nobody waits any more
  std::thread thread;
};

std::string key_of(DownloadRequest const& request) {
  return fmt::format("{}\n{}\n{}\n{}\n{}{}", request.hub_folder.string(), request.model.repo.text(),
                     request.model.revision.text(), request.model.variant, request.refresh,
                     request.everything);
}

bool is_asked_to_stop(DownloadRequest const& request) {
  return request.cancelled && request.cancelled();
}

class RealDownloader final : public Downloader {
 public:
  RealDownloader(http::Client& client, HubOptions hub, Options options)
      : client_(client), api_(client, std::move(hub)), options_(options) {}

  Result<ReadySnapshot> ensure(DownloadRequest request) override {
    std::string const key = key_of(request);
    auto const flight = join_or_start(key, request);
    auto result = wait_for(*flight, request);
    leave(key, *flight);
    return result;
  }

 private:
  std::shared_ptr<Flight> join_or_start(std::string const& key, DownloadRequest const& request) {
    std::lock_guard const guard(mutex_);
    auto& slot = flights_[key];
    if (slot) {
      std::lock_guard const flight_guard(slot->mutex);
      // A flight that is being given up is no use to a new caller.
      if (!slot->unwanted) {
        ++slot->callers;
        return slot;
      }
    }
    slot = std::make_shared<Flight>();
    slot->thread = std::thread([this, flight = slot, request] { fly(*flight, request); });
    return slot;
  }

  void fly(Flight& flight, DownloadRequest request) {
    request.cancelled = [&flight] {
      std::lock_guard const guard(flight.mutex);
      return flight.unwanted;
    };
    request.on_progress = [&flight](Progress const& progress) {
      std::lock_guard const guard(flight.mutex);
      flight.progress = progress;
    };
    auto result = guarded_fetch(request);
    std::lock_guard const guard(flight.mutex);
    flight.result = std::move(result);
    flight.changed.notify_all();
  }

  /// Only a lack of memory can throw here; it must end this download, not the server.
  Result<ReadySnapshot> guarded_fetch(DownloadRequest const& request) {
    try {
      SnapshotTools const tools{client_, api_, options_, [this] { return machinery(); }};
      auto ready = fetch_snapshot(tools, request);
      if (ready) show_to_both_sides(request);
      return ready;
    } catch (std::exception const& error) {
      return fail(Code::kInternal, fmt::format("{}: {}", request.model.repo.text(), error.what()));
    }
  }

  /// Scripts with cache_dir=<root> of a bridged root see what came into hub/. The model is there in
  /// any case, and the next `cache bridge` makes up for a link that could not be made.
  static void show_to_both_sides(DownloadRequest const& request) {
    auto const shown =
        cache::keep_hub_bridged(request.hub_folder, request.model.repo.folder_name());
    if (!shown) logger("hub")->warn("{}", shown.error().message);
  }

  Result<ReadySnapshot> wait_for(Flight& flight, DownloadRequest const& request) {
    std::unique_lock guard(flight.mutex);
    for (;;) {
      flight.changed.wait_for(guard, 100ms, [&] { return flight.result.has_value(); });
      bool const done = flight.result.has_value();
      if (done && *flight.result) flight.progress.stage = Progress::Stage::kDone;
      Progress const progress = flight.progress;
      guard.unlock();
      if (request.on_progress) request.on_progress(progress);
      bool const stop = !done && is_asked_to_stop(request);
      guard.lock();
      if (done) return *flight.result;
      if (!stop) continue;
      if (flight.callers > 1)
        return fail(Code::kCancelled, "download cancelled; others go on with it");
      flight.unwanted = true;
      flight.changed.wait(guard, [&] { return flight.result.has_value(); });
      return *flight.result;
    }
  }

  /// The last one out clears up.
  void leave(std::string const& key, Flight& flight) {
    std::unique_lock guard(mutex_);
    {
      std::lock_guard const flight_guard(flight.mutex);
      if (--flight.callers > 0) return;
    }
    if (auto const found = flights_.find(key);
        found != flights_.end() && found->second.get() == &flight)
      flights_.erase(found);
    guard.unlock();
    flight.thread.join();
  }

  std::shared_ptr<Machinery> machinery() {
    std::lock_guard const guard(mutex_);
    auto shared = machinery_.lock();
    if (!shared) machinery_ = shared = std::make_shared<Machinery>(options_.write_threads);
    return shared;
  }

  http::Client& client_;
  HubApi api_;
  Options options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
  std::weak_ptr<Machinery> machinery_;
};

}  // namespace

std::unique_ptr<Downloader> Downloader::create(http::Client& client, HubOptions hub,
                                               Options options) {
  return std::make_unique<RealDownloader>(client, std::move(hub), options);
}

}  // namespace homelab::hub
