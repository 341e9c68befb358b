#pragma once
// The query of routes that ask about runs.
#include <cstddef>
#include <span>
#include <string_view>

#include "base/result.h"
#include "http/message.h"
#include "registry/runs.h"

namespace homelab::api {

/// model, revision, engine_version, endpoint, since, until. A time is "2026-01-31",
/// "2026-01-31T12:00:00" (UTC, "Z" may follow), or how long ago: "90m", "24h", "7d". The error side
/// is the finished 422.
[[nodiscard]] tl::expected<registry::RunFilter, http::Response> run_filter(
    http::Request const& request);
/// One of `words` (its index), the first when the query has none. Likewise.
[[nodiscard]] tl::expected<std::size_t, http::Response> one_of(
    http::Request const& request, std::string_view name, std::span<std::string_view const> words);

}  // namespace homelab::api
