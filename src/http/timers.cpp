#include "http/timers.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <utility>

#include "io_loops.h"
#include "later_reply.h"

namespace homelab::http {
namespace {

/// What is called, until it was called or taken back. The timer itself belongs to its loop alone:
/// one that was taken back rings for nobody.
class Call {
 public:
  explicit Call(std::function<void()> command) : command_(std::move(command)) {}
  std::function<void()> take() {
    std::lock_guard const lock(mutex_);
    return std::exchange(command_, nullptr);
  }

 private:
  std::mutex mutex_;
  std::function<void()> command_;
};

class LoopTimers final : public Timers {
 public:
  explicit LoopTimers(IoLoops& loops) : loops_(loops) {}

  Clock::time_point now() const override { return Clock::now(); }

  std::shared_ptr<void> after(std::chrono::milliseconds delay,
                              std::function<void()> command) override {
    auto const call = std::make_shared<Call>(std::move(command));
    auto& io = loops_.impl().here_or_next();
    asio::post(io, [&io, call, when = Clock::now() + delay] {
      auto const timer = std::make_shared<asio::steady_timer>(io, when);
      timer->async_wait([timer, call](boost::system::error_code error) {
        auto const due = call->take();
        if (!error && due) (void)call_contained("a timer's call", due);
      });
    });
    // Not only forgotten: what the command holds is let go of at once.
    return {call.get(), [call](void*) { (void)call->take(); }};
  }

 private:
  IoLoops& loops_;
};

}  // namespace

std::unique_ptr<Timers> make_timers(IoLoops& loops) { return std::make_unique<LoopTimers>(loops); }

}  // namespace homelab::http
