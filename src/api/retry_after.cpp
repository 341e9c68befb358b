#include "retry_after.h"

namespace homelab::api {

void say_when_to_come_back(http::Response& refusal, Error const& error,
                           engine::EngineService const& engines, std::string const& model) {
  auto const wait = engines.retry_after(model);
  if (wait.count() <= 0) return;
  if (error.code == Code::kUnavailable) refusal.status = 503;
  refusal.headers.set("retry-after", std::to_string(wait.count()));
}

}  // namespace homelab::api
