#include "care/printable.h"

#include <algorithm>

#include "base/strings.h"

namespace homelab::care {
namespace {

std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

bool is_control(char32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

}  // namespace

Letter next_letter(std::string_view text) {
  auto const lead = static_cast<unsigned char>(text[0]);
  std::size_t const length = sequence_length(lead);
  if (length == 0 || length > text.size()) return {lead, 1, false};
  if (length == 1) return {lead, 1, true};
  char32_t code = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    auto const byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0U) != 0x80U) return {lead, 1, false};
    code = (code << 6U) | (byte & 0x3FU);
  }
  return {code, length, true};
}

std::string printable(std::string_view text, bool keep_lines) {
  // Nearly every text is plain ASCII, and a list has thousands.
  if (std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; }))
    return std::string(text);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    Letter const letter = next_letter(text);
    bool const kept_control = keep_lines && (letter.code == '\n' || letter.code == '\t');
    if (letter.valid && (kept_control || !is_control(letter.code)))
      out.append(text.substr(0, letter.bytes));
    else
      out += '?';
    text.remove_prefix(letter.bytes);
  }
  return out;
}

std::string json_text(std::string_view text) {
  return is_utf8(text) ? std::string(text) : printable(text);
}

}  // namespace homelab::care
