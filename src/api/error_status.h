#pragma once
// From the program's failures to HTTP statuses: one table for all dialects.
#include "base/result.h"

namespace homelab::api {

/// What was being done decides with the code: the original answers 500 for whatever breaks a load
/// or a generation.
enum class Doing { kCall, kLoad, kGenerate };

[[nodiscard]] int http_status(Code code, Doing doing = Doing::kCall);

}  // namespace homelab::api
