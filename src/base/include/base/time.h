#pragma once
// Points in time are UTC microseconds since 1970; text forms are made only at the edges.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace homelab {

using UtcTime = std::chrono::sys_time<std::chrono::microseconds>;

[[nodiscard]] UtcTime utc_now();

/// "2025-11-16T17:43:12.445678" in the machine's local time, without zone: the original API's form
/// (contract §2.0).
[[nodiscard]] std::string to_local_iso(UtcTime time);
/// "2025-11-16 17:43:12.445678" in UTC: the form in the database.
[[nodiscard]] std::string to_database_text(UtcTime time);
/// Reads "YYYY-MM-DD[ T]HH:MM:SS[.f{1,6}]"; nullopt when it is anything else.
[[nodiscard]] std::optional<UtcTime> parse_database_text(std::string_view text);
/// "2025-11-16T17:43:12.445Z".
[[nodiscard]] std::string to_iso_utc(UtcTime time);
/// Converts a wall-clock reading of this machine's zone into UTC (used when importing the
/// original's rows).
[[nodiscard]] UtcTime local_to_utc(UtcTime local_reading);

}  // namespace homelab
