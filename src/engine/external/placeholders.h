#pragma once
// {word} in the command of an external engine. Pure.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace homelab::engine {

/// Names of placeholders and what they stand for.
using Words = std::map<std::string, std::string, std::less<>>;

/// The placeholders in `text`, known or not: {word} with lower-case letters and '_' only, so that
/// JSON inside an argument is none.
[[nodiscard]] std::vector<std::string> placeholders_in(std::string_view text);

/// kInvalidArgument for a placeholder that does not exist (the message says which do).
[[nodiscard]] Status check_placeholders(std::string_view text);

/// `text` with everything filled in; one pass, values are not looked at again. kInvalidArgument
/// when a word has no value here, or when a value would begin the text with '-'.
[[nodiscard]] Result<std::string> fill_in(std::string_view text, Words const& words);

}  // namespace homelab::engine
