#pragma once
// A slow question that many may ask at once.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "http/message.h"

namespace homelab::api {

/// Whoever asks gets an answer whose work began after the question was asked, and yet at most two
/// threads are busy with it: one that works, and one that waits to work for everybody who came
/// meanwhile. Thread-safe.
class SharedAnswer {
 public:
  explicit SharedAnswer(std::function<http::Response()> work) : work_(std::move(work)) {}

  /// Called by a handler: gives the answer after working, or one that comes later.
  [[nodiscard]] http::Reply ask();

 private:
  /// The answer of one piece of work, and those who wait for it.
  class Round {
   public:
    void join(std::shared_ptr<http::Pending> pending);
    void finish(http::Response const& answer);

   private:
    std::mutex mutex_;
    std::optional<http::Response> answer_;
    std::vector<std::shared_ptr<http::Pending>> waiting_;
  };
  http::Response work_now(std::shared_ptr<Round> const& round);

  std::function<http::Response()> const work_;
  std::mutex mutex_;
  std::condition_variable free_;
  bool working_ = false;
  std::shared_ptr<Round> next_;  ///< has its thread, which waits; others may still join
};

}  // namespace homelab::api
