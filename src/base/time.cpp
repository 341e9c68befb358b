#include "base/time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <ctime>

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
  constexpr std::size_t kWholeSeconds = 19;
  if (text.size() < kWholeSeconds || text[4] != '-' || text[7] != '-' || text[13] != ':' ||
      text[16] != ':' || (text[10] != ' ' && text[10] != 'T'))
    return std::nullopt;
  std::array<std::optional<int>, 6> const parts{digits(text, 0, 4),  digits(text, 5, 2),
                                                digits(text, 8, 2),  digits(text, 11, 2),
                                                digits(text, 14, 2), digits(text, 17, 2)};
  for (auto const& part : parts)
    if (!part) return std::nullopt;
  std::chrono::year_month_day const day{std::chrono::year{*parts[0]},
                                        std::chrono::month{static_cast<unsigned>(*parts[1])},
                                        std::chrono::day{static_cast<unsigned>(*parts[2])}};
  if (!day.ok() || *parts[3] > 23 || *parts[4] > 59 || *parts[5] > 60) return std::nullopt;
  std::int64_t micros = 0;
  if (text.size() > kWholeSeconds) {
    std::string_view fraction = text.substr(kWholeSeconds);
    if (fraction.front() != '.' || fraction.size() < 2 || fraction.size() > 7) return std::nullopt;
    auto const value = digits(fraction, 1, fraction.size() - 1);
    if (!value) return std::nullopt;
    micros = *value;
    for (std::size_t i = fraction.size() - 1; i < 6; ++i) micros *= 10;
  }
  return UtcTime{std::chrono::sys_days{day}} + std::chrono::hours{*parts[3]} +
         std::chrono::minutes{*parts[4]} + seconds{*parts[5]} + microseconds{micros};
}

UtcTime local_to_utc(UtcTime local_reading) {
  auto const [whole, micros] = split(local_reading);
  std::tm fields{};
  gmtime_r(&whole, &fields);
  fields.tm_isdst = -1;
  return UtcTime{seconds{std::mktime(&fields)}} + microseconds{micros};
}

}  // namespace homelab
