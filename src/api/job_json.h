#pragma once
// Jobs as the API shows them.
#include "base/json.h"
#include "engine/engine_service.h"
#include "jobs/job_book.h"

namespace homelab::api {

/// A load or download of the engine service.
[[nodiscard]] json::object job_json(engine::JobView const& job);
/// A job of the book; `result` is there only when `with_result`.
[[nodiscard]] json::object job_json(jobs::Job const& job, bool with_result);

}  // namespace homelab::api
