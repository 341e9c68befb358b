#include "base/time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <utility>

namespace homelab {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

std::string format_fields(std::tm const& fields, char separator, std::int64_t micros) {
  return fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}.{:06}", fields.tm_year + 1900,
                     fields.tm_mon + 1, fields.tm_mday, separator, fields.tm_hour, fields.tm_min,
                     fields.tm_sec, micros);
}

struct Split {
  std::time_t whole;
  std::int64_t micros;
};
Split split(UtcTime time) {
  auto const whole = std::chrono::floor<seconds>(time);
  return {static_cast<std::time_t>(whole.time_since_epoch().count()), (time - whole).count()};
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  auto const* begin = text.data() + at;
  if (*begin == '-') return std::nullopt;  // from_chars would read "-1" as a number
  auto const result = std::from_chars(begin, begin + count, value);
  if (result.ec != std::errc{} || result.ptr != begin + count) return std::nullopt;
  return value;
}

constexpr std::size_t kWholeSeconds = 19;  // "YYYY-MM-DD HH:MM:SS"

bool has_separators(std::string_view text) {
  return text.size() >= kWholeSeconds && text[4] == '-' && text[7] == '-' && text[13] == ':' &&
         text[16] == ':' && (text[10] == ' ' || text[10] == 'T');
}

/// What stands behind the seconds: nothing, or a point and one to six digits.
std::optional<microseconds> fraction(std::string_view text) {
  if (text.empty()) return microseconds{0};
  if (text.front() != '.' || text.size() < 2 || text.size() > 7) return std::nullopt;
  auto const value = digits(text, 1, text.size() - 1);
  if (!value) return std::nullopt;
  std::int64_t micros = *value;
  for (std::size_t i = text.size() - 1; i < 6; ++i) micros *= 10;
  return microseconds{micros};
}

}  // namespace

UtcTime utc_now() {
  return std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now());
}

std::string to_local_iso(UtcTime time) {
  auto const [whole, micros] = split(time);
  std::tm fields{};
  localtime_r(&whole, &fields);
  return format_fields(fields, 'T', micros);
}

std::string to_database_text(UtcTime time) {
  auto const [whole, micros] = split(time);
  std::tm fields{};
  gmtime_r(&whole, &fields);
  return format_fields(fields, ' ', micros);
}

std::string to_iso_utc(UtcTime time) {
  auto const [whole, micros] = split(time);
  std::tm fields{};
  gmtime_r(&whole, &fields);
  std::string text = format_fields(fields, 'T', micros);
  text.resize(text.size() - 3);
  return text + "Z";
}

std::optional<UtcTime> parse_database_text(std::string_view text) {
  if (!has_separators(text)) return std::nullopt;
  static constexpr std::array<std::pair<std::size_t, std::size_t>, 6> kFields{
      {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}}};
  std::array<int, 6> parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto const number = digits(text, kFields[i].first, kFields[i].second);
    if (!number) return std::nullopt;
    parts[i] = *number;
  }
  auto const [year, month, day_of_month, hour, minute, second] = parts;
  std::chrono::year_month_day const day{std::chrono::year{year},
                                        std::chrono::month{static_cast<unsigned>(month)},
                                        std::chrono::day{static_cast<unsigned>(day_of_month)}};
  if (!day.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  auto const micros = fraction(text.substr(kWholeSeconds));
  if (!micros) return std::nullopt;
  return UtcTime{std::chrono::sys_days{day}} + std::chrono::hours{hour} +
         std::chrono::minutes{minute} + seconds{second} + *micros;
}

UtcTime local_to_utc(UtcTime local_reading) {
  auto const [whole, micros] = split(local_reading);
  std::tm fields{};
  gmtime_r(&whole, &fields);
  fields.tm_isdst = -1;
  return UtcTime{seconds{std::mktime(&fields)}} + microseconds{micros};
}

}  // namespace homelab
