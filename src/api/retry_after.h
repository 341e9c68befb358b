#pragma once
// A refusal that is over soon.
#include <string>

#include "base/result.h"
#include "engine/engine_service.h"
#include "http/message.h"

namespace homelab::api {

/// While `model` is left alone because its load failed a moment ago, the answer to a request for it
/// says when to come back; the status is then 503.
void say_when_to_come_back(http::Response& refusal, Error const& error,
                           engine::EngineService const& engines, std::string const& model);

}  // namespace homelab::api
