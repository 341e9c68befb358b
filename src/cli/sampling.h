#pragma once
// The options of an answer as fields of a request. Pure.
#include "base/json.h"
#include "command_line.h"

namespace homelab::cli {

/// Those that are set, under names that /api/generate and the engine's /v1 share. Not `greedy`,
/// which they say in different ways.
void add_sampling(json::object& body, SamplingOptions const& sampling);

}  // namespace homelab::cli
