#pragma once
// What the steps of a tokenizer.json do, in words that can be compared.
#include <string>

#include "base/json.h"

namespace homelab::loader {

/// "normalizer" or "pre_tokenizer" as one line, for comparing and for messages: "digits:individual
/// | bytes:regex". Only what has no influence on tokens is left out.
[[nodiscard]] std::string describe_steps(json::value const* step);

}  // namespace homelab::loader
