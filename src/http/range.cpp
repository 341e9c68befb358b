#include "range.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/strings.h"
#include "text_rules.h"

namespace homelab::http {
namespace {

/// Digits only; a number too large for 64 bits counts as the largest, because it is behind every
/// end.
std::optional<std::uint64_t> position(std::string_view text) {
  bool const digits = !text.empty() && std::all_of(text.begin(), text.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return std::nullopt;
  return parse_uint(text).value_or(std::numeric_limits<std::uint64_t>::max());
}

ByteRange suffix(std::uint64_t count, std::uint64_t size_bytes) {
  if (count == 0 || size_bytes == 0) return {ByteRange::Kind::kUnsatisfiable, 0, 0};
  return {ByteRange::Kind::kPart, size_bytes - std::min(count, size_bytes), size_bytes - 1};
}

}  // namespace

ByteRange parse_range(std::string_view field, std::uint64_t size_bytes) {
  static constexpr std::string_view kUnit = "bytes=";
  if (!equals_without_case(field.substr(0, kUnit.size()), kUnit)) return {};
  std::string_view const spec = trim(field.substr(kUnit.size()));
  std::size_t const dash = spec.find('-');
  if (dash == std::string_view::npos) return {};
  std::string_view const from = spec.substr(0, dash);
  std::string_view const to = spec.substr(dash + 1);

  auto const last = position(to);
  if (from.empty()) return last ? suffix(*last, size_bytes) : ByteRange{};
  auto const first = position(from);
  if (!first || (!last && !to.empty()) || (last && *last < *first)) return {};
  if (*first >= size_bytes) return {ByteRange::Kind::kUnsatisfiable, 0, 0};
  return {ByteRange::Kind::kPart, *first, std::min(last.value_or(size_bytes - 1), size_bytes - 1)};
}

}  // namespace homelab::http
