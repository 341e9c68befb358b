#pragma once
// The .env file as docker compose reads it (design §3; compose's env-file syntax).
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace homelab::config {

struct DotenvEntry {
  std::string key;
  std::string value;
  int line = 0;  ///< 1-based, where the key stands
  friend bool operator==(DotenvEntry const&, DotenvEntry const&) = default;
};

/// Gives the value of an environment variable for ${VAR}; nullopt = unset.
using Lookup = std::function<std::optional<std::string>(std::string const&)>;

/// Parses a whole file. Understands `export`, comments, CRLF, single quotes (literal), double
/// quotes (escapes, several lines, interpolation), unquoted values (" #" starts a comment), ${VAR},
/// ${VAR:-default}, ${VAR-default},
/// ${VAR:?message}, ${VAR:+other}, $VAR, `$$`; a name is looked up in `environment` first, then in
/// earlier lines. A later line of the same key wins. Errors (kInvalidArgument) name the line; a
/// bound of 1 MiB applies. A name alone on its line is the environment's variable, or nothing when
/// that is unset. Differences from compose and from python-dotenv: config/README.md. `warnings`, if
/// given, gets one sentence with the line number for each thing that other readers of .env files
/// see differently or that is probably not meant (an unset variable, `$VAR` without braces, a
/// comment as a value).
[[nodiscard]] Result<std::vector<DotenvEntry>> parse_dotenv(
    std::string_view text, Lookup const& environment, std::vector<std::string>* warnings = nullptr);

}  // namespace homelab::config
