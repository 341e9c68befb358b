// The lax conversions of single values (validation.h).
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/strings.h"
#include "validation.h"

namespace homelab::api {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;

tl::unexpected<Problem> refuse(std::string type, std::string message) {
  return tl::unexpected<Problem>(Problem{std::move(type), std::move(message), {}});
}

tl::unexpected<Problem> not_integer_text() {
  return refuse("int_parsing",
                "Input should be a valid integer, unable to parse string as an integer");
}

/// "1_000" is 1000; nullopt where an underscore stands at an end or beside another.
std::optional<std::string> without_underscores(std::string_view text) {
  if (text.starts_with('_') || text.ends_with('_') || text.find("__") != std::string_view::npos)
    return std::nullopt;
  std::string out(text);
  std::erase(out, '_');
  return out;
}

/// "5.0" is 5: a fraction of zeros goes.
std::string_view without_zero_fraction(std::string_view text) {
  std::size_t const point = text.find('.');
  if (point == std::string_view::npos || point + 1 == text.size()) return text;
  bool const zeros = text.find_first_not_of('0', point + 1) == std::string_view::npos;
  return zeros ? text.substr(0, point) : text;
}

Lenient<std::int64_t> integer_of_text(std::string_view raw) {
  auto digits = without_underscores(without_zero_fraction(trim(raw)));
  if (!digits || digits->empty()) return not_integer_text();
  bool const negative = digits->front() == '-';
  if (negative || digits->front() == '+') digits->erase(0, 1);
  if (digits->empty() || digits->find_first_not_of("0123456789") != std::string::npos)
    return not_integer_text();
  // Beyond 64 bits every bound of ours is passed anyway: the nearest number keeps its sign and its
  // error.
  auto const value = parse_uint(*digits);
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  auto const magnitude =
      value && *value < static_cast<std::uint64_t>(kMax) ? static_cast<std::int64_t>(*value) : kMax;
  return negative ? -magnitude : magnitude;
}

Lenient<std::int64_t> integer_of_double(double number) {
  if (!std::isfinite(number)) return refuse("finite_number", "Input should be a finite number");
  if (std::floor(number) != number)
    return refuse("int_from_float",
                  "Input should be a valid integer, got a number with a fractional part");
  if (number >= kTwoTo63) return std::numeric_limits<std::int64_t>::max();
  if (number < -kTwoTo63) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(number);
}

void surround_point_with_digits(std::string& text) {
  if (text.starts_with('.')) text.insert(0, "0");
  std::size_t const point = text.find('.');
  if (point == std::string::npos) return;
  bool const digit_follows =
      point + 1 < text.size() && text[point + 1] >= '0' && text[point + 1] <= '9';
  if (!digit_follows) text.insert(point + 1, "0");
}

/// "5.", ".5" and "+1" count as numbers here, for parse_number they need not.
std::optional<double> number_of_text(std::string_view raw) {
  std::string text(trim(raw));
  if (text.size() == raw.size()) {
    auto plain = without_underscores(text);
    if (!plain) return std::nullopt;
    text = std::move(*plain);
  }
  if (text.find_first_not_of("0123456789+-.eE") != std::string::npos) return std::nullopt;
  if (text.find_first_of("0123456789") == std::string::npos) return std::nullopt;
  bool const negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.erase(0, 1);
  surround_point_with_digits(text);
  if (text.starts_with('+') || text.starts_with('-')) return std::nullopt;
  auto const value = parse_number(text);
  if (!value) return std::nullopt;
  return negative ? -*value : *value;
}

bool is_non_finite_word(std::string_view raw) {
  std::string word = to_lower(trim(raw));
  if (word.starts_with('+') || word.starts_with('-')) word.erase(0, 1);
  return word == "nan" || word == "inf" || word == "infinity";
}

std::optional<bool> boolean_of_text(std::string_view text) {
  std::string const word = to_lower(text);
  for (std::string_view const yes : {"1", "on", "t", "true", "y", "yes"})
    if (word == yes) return true;
  for (std::string_view const no : {"0", "off", "f", "false", "n", "no"})
    if (word == no) return false;
  return std::nullopt;
}

}  // namespace

Lenient<std::string> to_text(json::value const& input) {
  if (!input.is_string()) return refuse("string_type", "Input should be a valid string");
  return std::string(input.get_string());
}

Lenient<std::int64_t> to_integer(json::value const& input) {
  if (input.is_int64()) return input.get_int64();
  if (input.is_uint64()) return std::numeric_limits<std::int64_t>::max();
  if (input.is_bool()) return input.get_bool() ? 1 : 0;
  if (input.is_double()) return integer_of_double(input.get_double());
  if (input.is_string()) return integer_of_text(input.get_string());
  return refuse("int_type", "Input should be a valid integer");
}

Lenient<double> to_number(json::value const& input) {
  double number = 0;
  if (input.is_bool()) {
    number = input.get_bool() ? 1 : 0;
  } else if (input.is_number()) {
    number = input.to_number<double>();
  } else if (input.is_string()) {
    // The original lets infinities through and stumbles over them later (contract B35).
    if (is_non_finite_word(input.get_string()))
      return refuse("finite_number", "Input should be a finite number");
    auto const parsed = number_of_text(input.get_string());
    if (!parsed)
      return refuse("float_parsing",
                    "Input should be a valid number, unable to parse string as a number");
    number = *parsed;
  } else {
    return refuse("float_type", "Input should be a valid number");
  }
  if (!std::isfinite(number)) return refuse("finite_number", "Input should be a finite number");
  return number;
}

Lenient<bool> to_boolean(json::value const& input) {
  if (input.is_bool()) return input.get_bool();
  if (input.is_double() && std::floor(input.get_double()) != input.get_double())
    return refuse("bool_type", "Input should be a valid boolean");
  if (input.is_number()) {
    double const number = input.to_number<double>();
    if (number == 0.0 || number == 1.0) return number == 1.0;
  } else if (input.is_string()) {
    if (auto const value = boolean_of_text(input.get_string())) return *value;
  } else {
    return refuse("bool_type", "Input should be a valid boolean");
  }
  return refuse("bool_parsing", "Input should be a valid boolean, unable to interpret input");
}

}  // namespace homelab::api
