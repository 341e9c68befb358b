// The health of external engines: nothing else says when a server elsewhere is gone, or when a
// program is there but does not answer.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "service.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kFailuresThatCount = 3;
constexpr int kPatienceElsewhere = 3;  ///< a server elsewhere is asked less often
constexpr milliseconds kAgainAfterFailure{1000};
constexpr milliseconds kLongestAnswer{10'000};
constexpr std::size_t kAtOnce = 512;  ///< more than the requests that are in hand at once

}  // namespace

http::Client& Service::outside_client() {
  if (!outside_)
    outside_ = http::Client::create({.user_agent = "homelab-llm",
                                     .max_connections_per_host = kAtOnce,
                                     .max_transfers = kAtOnce});
  return *outside_;
}

void Service::check_health_later(Engine const& engine) {
  auto pause = options_.health_interval;
  if (engine->info.pid == 0) pause *= kPatienceElsewhere;
  if (engine->failed_checks > 0) pause = std::min(pause, kAgainAfterFailure);
  loop_->at(ServiceLoop::Clock::now() + pause, [this, weak = std::weak_ptr(engine)] {
    if (auto const asked = weak.lock()) check_health(asked);
  });
}

void Service::check_health(Engine const& engine) {
  if (engine->ended || refusing_) return;
  http::LocalRequest request;
  request.target = engine->remote->health;
  request.idle_timeout = kLongestAnswer;
  auto const status = std::make_shared<int>(0);
  http::LocalCallbacks callbacks;
  callbacks.on_head = [status](int code, http::Headers const&) { *status = code; };
  callbacks.on_done = [this, loop = loop_, status,
                       weak = std::weak_ptr(engine)](Status const& outcome) {
    std::optional<Error> trouble;
    if (!outcome) trouble = outcome.error();
    if (outcome && *status >= 500)
      trouble = Error{Code::kUnavailable, fmt::format("status {}", *status)};
    loop->post_internal([this, weak, trouble] { health_checked(weak, trouble); });
  };
  start_remote(*engine->remote, std::move(request), std::move(callbacks));
}

void Service::health_checked(std::weak_ptr<LoadedEngine> const& asked,
                             std::optional<Error> const& trouble) {
  auto const engine = asked.lock();
  if (!engine || engine->ended || !engine->process) return;
  std::uint64_t const bytes = engine->answered_bytes;
  // A server with one thread says nothing while it reads a long prompt. Should its machine be gone,
  // TCP's own keep-alive ends the requests.
  bool const busy =
      trouble && trouble->code == Code::kDeadlineExceeded && engine->active_requests > 0;
  bool const alive =
      !trouble || busy || (engine->failed_checks > 0 && bytes != engine->bytes_at_failure);
  if (engine->failed_checks == 0) engine->bytes_at_failure = bytes;
  engine->failed_checks = alive ? 0 : engine->failed_checks + 1;
  if (engine->failed_checks >= kFailuresThatCount)
    return engine->process->give_up(
        fmt::format("{} does not answer any more: {}", engine->remote->url, trouble->message));
  check_health_later(engine);
}

}  // namespace homelab::engine
