#pragma once
// The surroundings of the cache's commands in the server.
#include "api/routes.h"
#include "jobs/job_book.h"

namespace homelab::api {

/// `services` outlive the work.
[[nodiscard]] care::Work work_of(Services const& services);
/// The same for a job, which can be cancelled and shows how far it is.
[[nodiscard]] care::Work work_of(Services const& services, jobs::JobControl& control);

}  // namespace homelab::api
