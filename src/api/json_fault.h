#pragma once
// Where and why a text is not JSON, in the words and offsets that FastAPI's clients know (contract
// §2.0, E2 json_invalid).
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace homelab::api {

struct JsonFault {
  std::size_t offset = 0;  ///< in characters, not bytes
  std::string message;     ///< "Expecting value"
};

/// The first fault of a UTF-8 text; nullopt when the grammar holds. NaN and Infinity are faults.
[[nodiscard]] std::optional<JsonFault> find_json_fault(std::string_view text);

}  // namespace homelab::api
