#pragma once
// What a check found: one sentence, and the line that mends it.
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace homelab::cli::doctor {

enum class Severity {
  kOk,       ///< was looked at and is right
  kInfo,     ///< worth knowing; nothing has to be done
  kWarning,  ///< works, but not as it should: double copies, lost speed, trouble later
  kError,    ///< something that is needed does not work
};
[[nodiscard]] std::string_view to_string(Severity severity);  ///< "ok", "info", ...

struct Finding {
  Severity severity = Severity::kOk;
  std::string text;       ///< one sentence; may hold names from the disk
  std::string mend = {};  ///< command or line that mends it; several lines are possible
};
using Findings = std::vector<Finding>;

/// The findings of one group of checks.
struct GroupReport {
  std::string group;  ///< "settings", "locations", ...
  Findings findings;
};

[[nodiscard]] std::size_t count(std::vector<GroupReport> const& groups, Severity severity);

/// For people: a line per finding, its mend below it, and one line at the end that sums up.
[[nodiscard]] std::string report_text(std::vector<GroupReport> const& groups);
/// {"ok","errors","warnings","findings":[{"group","severity","text","mend"}]} (docs/cli.md).
[[nodiscard]] json::object to_json(std::vector<GroupReport> const& groups);

/// `text` as one word of a shell.
[[nodiscard]] std::string shell_word(std::string_view text);

}  // namespace homelab::cli::doctor
