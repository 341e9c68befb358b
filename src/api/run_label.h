#pragma once
// From a request to what the performance log notes of it.
#include "base/json.h"
#include "engine/run_label.h"
#include "http/message.h"

namespace homelab::api {

/// Route, whether it streams, hash of the prompt, and the parameters without the texts.
/// The request's id comes from the request book.
[[nodiscard]] engine::RunLabel run_label(http::Request const& request, json::object const& fields);

}  // namespace homelab::api
