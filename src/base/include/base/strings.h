#pragma once
// Small text functions that several modules need.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace homelab {

/// Without leading and trailing blanks (space, tab, CR, LF, VT, FF).
[[nodiscard]] std::string_view trim(std::string_view text);
/// Views into `text`, which must outlive them: a temporary string does not compile.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
std::vector<std::string_view> split(std::string&& text, char separator) = delete;
[[nodiscard]] std::string to_lower(std::string_view text);
/// Percent-decodes once; '+' stays. nullopt for a broken escape.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);
/// Encodes everything outside [A-Za-z0-9-._~] and the characters in `keep`.
[[nodiscard]] std::string percent_encode(std::string_view text, std::string_view keep = {});
/// "98.4 MB", decimal units like the Hub's own tools.
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
/// "98.4 MB (98400000 bytes)".
[[nodiscard]] std::string exact_bytes(std::uint64_t bytes);
/// "1 file", "0 files", "2 files"; "2 repositories" with the plural given, which is `one` and an
/// "s" otherwise.
[[nodiscard]] std::string counted(std::uint64_t number, std::string_view one,
                                  std::string_view many = {});
/// Whole decimal number without sign or blanks; nullopt for anything else or overflow.
[[nodiscard]] std::optional<std::uint64_t> parse_uint(std::string_view text);
/// Finite number; the whole text must be one.
[[nodiscard]] std::optional<double> parse_number(std::string_view text);
/// True if `text` is valid UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace homelab
