#pragma once
// How models look to people. Pure.
#include <string>
#include <vector>

#include "base/json.h"
#include "model_choice.h"

namespace homelab::cli {

/// `ls`: one line per model.
[[nodiscard]] std::string model_table(std::vector<ModelRow> const& rows);
/// `show`: every field that has a value.
[[nodiscard]] std::string model_details(ModelRow const& row);
/// "2025-11-16T17:43:12.445678" as "2025-11-16 17:43"; "never" when empty.
[[nodiscard]] std::string short_time(std::optional<std::string> const& text);

}  // namespace homelab::cli
