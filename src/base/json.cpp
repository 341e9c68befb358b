#include "base/json.h"

#include <fmt/format.h>

#include <cmath>

namespace homelab {

Result<json::value> parse_json(std::string_view text, std::size_t max_depth) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::stream_parser parser({}, options);
  boost::system::error_code error;
  std::size_t const used = parser.write(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  if (error) {
    return fail(Code::kInvalidArgument,
                fmt::format("not valid JSON near byte {}: {}", used, error.message()));
  }
  return parser.release();
}

std::optional<std::string> get_string(json::object const& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  if (!value || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<std::int64_t> get_int(json::object const& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  if (!value) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  // Writers of other languages print whole numbers as 5.0; above 2^53 a double is no longer exact.
  if (value->is_double()) {
    double const number = value->get_double();
    if (std::floor(number) == number && std::abs(number) < 9.0e15)
      return static_cast<std::int64_t>(number);
  }
  return std::nullopt;
}

std::optional<double> get_double(json::object const& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  if (!value || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

std::optional<bool> get_bool(json::object const& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  if (!value || !value->is_bool()) return std::nullopt;
  return value->get_bool();
}

json::object const* get_object(json::object const& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  return value ? value->if_object() : nullptr;
}

json::array const* get_array(json::object const& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  return value ? value->if_array() : nullptr;
}

namespace {
/// Decodes one UTF-8 sequence of text that the JSON serializer has already validated or passed
/// through.
char32_t next_code_point(std::string_view text, std::size_t& at) {
  auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char const lead = byte(at);
  std::size_t const length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (length == 1 || at + length > text.size()) {
    ++at;
    return 0xFFFD;
  }
  char32_t point = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) point = (point << 6U) | (byte(at + i) & 0x3FU);
  at += length;
  return point;
}
}  // namespace

std::string to_ascii_json(json::value const& value) {
  std::string const text = json::serialize(value);
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      out.push_back(text[at++]);
      continue;
    }
    char32_t const point = next_code_point(text, at);
    if (point < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(point));
    } else {
      auto const rest = static_cast<unsigned>(point) - 0x10000U;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + (rest >> 10U), 0xDC00U + (rest & 0x3FFU));
    }
  }
  return out;
}

}  // namespace homelab
