#pragma once
// Text from the disk, a server or a model, fit for people and for JSON. Pure.
#include <cstddef>
#include <string>
#include <string_view>

namespace homelab::care {

/// The first letter of a text that is not empty.
struct Letter {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;  ///< false: a byte that is no UTF-8
};
[[nodiscard]] Letter next_letter(std::string_view text);

/// Everything that could steer a terminal (C0 and C1 controls, DEL) and what is no UTF-8 is shown
/// as '?'; tab and newline stay when `keep_lines`.
[[nodiscard]] std::string printable(std::string_view text, bool keep_lines = false);

/// Text from the disk as JSON may hold it: as it is when it is UTF-8, else printable().
[[nodiscard]] std::string json_text(std::string_view text);

}  // namespace homelab::care
