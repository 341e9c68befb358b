#pragma once
// From a request to what the performance log notes of it.
#include "base/json.h"
#include "engine/run_label.h"
#include "http/message.h"

namespace homelab::api {

/// Route, request id, whether it streams, hash of the prompt, and the parameters without the texts.
[[nodiscard]] engine::RunLabel run_label(http::Request const& request, json::object const& fields);

}  // namespace homelab::api
