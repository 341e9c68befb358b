#pragma once
// Writes into the registry that must not meet a load of the same model.
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "api/routes.h"

namespace homelab::api {

/// Runs `write` on the loop that owns the loaded state and waits for it: that loop never blocks, so
/// this is short. kFailedPrecondition, without writing, when one of the models is loaded, loading
/// or waiting to be. `write` keeps what it needs: it may run after the wait was given up.
template <class T>
[[nodiscard]] Result<T> write_if_unused(Services const& services, std::vector<std::string> names,
                                        std::function<Result<T>()> write) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  services.engines.if_unused(std::move(names),
                             [promise, write = std::move(write)](Status const& unused) {
                               promise->set_value(unused ? write() : fail(Error(unused.error())));
                             });
  if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready)
    return fail(Code::kDeadlineExceeded,
                "the engine service did not answer within 30 s; look at the list of models");
  return future.get();
}

}  // namespace homelab::api
