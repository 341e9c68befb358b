#pragma once
// The compatibility state machine (contract §6), pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "registry/model.h"

namespace homelab::registry {

/// Status after a successful load: unknown, testing, null and a forced incompatible become
/// compatible; degraded and compatible stay (F60, F62).
[[nodiscard]] std::string status_after_success(std::optional<std::string> const& previous);

struct LoadVerdict {
  std::optional<std::string> status;
  std::optional<std::string> notes;
};
/// After a failed load. Failures that say nothing about the model (kUnavailable, kCancelled,
/// kDeadlineExceeded, kResourceExhausted, kPermissionDenied) restore `previous` and keep the notes
/// (F64); a dead engine or one of the crash patterns gives degraded (total_loads >= 3, first 150
/// characters) or incompatible (first 200); anything else incompatible. Repository names in the
/// text are not matched against the patterns (B31).
[[nodiscard]] LoadVerdict verdict_after_failure(Error const& error, bool engine_crashed,
                                                Model const& model,
                                                std::optional<std::string> const& previous);

/// True for 50 or more characters and 10 or more words of which more than 30 % repeat (contract §9;
/// exactly 30 % of 10 words counts).
[[nodiscard]] bool is_repetitive(std::string_view text);
/// The part of the words that occurred before, 0 to below 1; nullopt for fewer than ten words.
[[nodiscard]] std::optional<double> repetition_ratio(std::string_view text);

}  // namespace homelab::registry
