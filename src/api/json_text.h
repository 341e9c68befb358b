#pragma once
// JSON as text in the form that Python writes: compact, shortest numbers ("0.7", "5000.0",
// "1e+16").
#include <string>

#include "base/json.h"

namespace homelab::api {

/// Compact UTF-8 text. Numbers that JSON cannot hold (infinity, NaN) become null.
[[nodiscard]] std::string to_json_text(json::value const& value);

/// The same with everything outside ASCII as \uXXXX: the form inside event streams (contract §2.0).
[[nodiscard]] std::string to_ascii_json_text(json::value const& value);

/// A number of an optional, or null.
template <class T>
[[nodiscard]] json::value value_or_null(std::optional<T> const& optional) {
  if (!optional) return nullptr;
  return json::value(*optional);
}

}  // namespace homelab::api
