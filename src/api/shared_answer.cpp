#include "shared_answer.h"

#include <exception>
#include <utility>

#include "replies.h"

namespace homelab::api {

void SharedAnswer::Round::join(std::shared_ptr<http::Pending> pending) {
  {
    std::lock_guard const lock(mutex_);
    if (!answer_) {
      waiting_.push_back(std::move(pending));
      return;
    }
  }
  pending->complete(*answer_);  // it does not change any more
}

void SharedAnswer::Round::finish(http::Response const& answer) {
  std::vector<std::shared_ptr<http::Pending>> waiting;
  {
    std::lock_guard const lock(mutex_);
    answer_ = answer;
    waiting.swap(waiting_);
  }
  for (auto const& pending : waiting) pending->complete(answer);
}

http::Reply SharedAnswer::ask() {
  std::unique_lock lock(mutex_);
  if (next_)
    return http::PendingReply{
        [round = next_](std::shared_ptr<http::Pending> const& pending) { round->join(pending); }};
  auto const round = std::make_shared<Round>();
  if (working_) {
    next_ = round;
    free_.wait(lock, [this] { return !working_; });
    next_ = nullptr;  // who comes now is too late for what begins now
  }
  working_ = true;
  lock.unlock();
  return work_now(round);
}

http::Response SharedAnswer::work_now(std::shared_ptr<Round> const& round) {
  http::Response answer;
  try {
    answer = work_();
  } catch (std::exception const& broken) {
    answer = detail_reply(500, broken.what());
  }
  {
    std::lock_guard const lock(mutex_);
    working_ = false;
  }
  free_.notify_one();
  round->finish(answer);
  return answer;
}

}  // namespace homelab::api
