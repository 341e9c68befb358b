#pragma once
// What a setting's text must look like.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace homelab::config {

/// kInvalidArgument, naming setting, value (never a secret's), origin and expectation, if `value`
/// is no good for `row`.
[[nodiscard]] Status check_value(Setting const& row, Value const& value);

struct RootItem {
  std::string path;     ///< absolute, or with `~/`
  double limit_gb = 0;  ///< 0 = none
};
/// "/a:/b=500": paths with or without a quota; nullopt when one is no path or there are too many.
[[nodiscard]] std::optional<std::vector<RootItem>> parse_custom_roots(std::string_view text);
/// "/host=/here:/b=/c"; nullopt when one is no pair of absolute paths.
[[nodiscard]] std::optional<std::vector<Settings::PathPair>> parse_path_map(std::string_view text);
/// "1 true yes on" / "0 false no off", any case; nullopt for anything else.
[[nodiscard]] std::optional<bool> parse_switch(std::string_view text);
/// How the Hub's Python client reads a switch: 1, ON, YES, TRUE in any case; everything else is
/// false.
[[nodiscard]] bool python_switch(std::string_view text);
/// True if only this machine can reach a server that listens on `host`.
[[nodiscard]] bool is_loopback(std::string_view host);
/// "::1" for "[::1]"; other texts trimmed only.
[[nodiscard]] std::string bare_host(std::string_view text);
/// The token as it is sent: CR and LF removed, trimmed; nullopt when nothing is left.
[[nodiscard]] std::optional<std::string> clean_token(std::string_view text);
/// Printable ASCII without blanks: all that may stand in a header.
[[nodiscard]] bool is_sendable_token(std::string_view token);
/// A URL with "user:password@" replaced.
[[nodiscard]] std::string hide_credentials(std::string_view url);

}  // namespace homelab::config
