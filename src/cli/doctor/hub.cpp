// doctor, hub: is it reachable, with which token, and does the clock agree with it.
#include <fmt/format.h>

#include <array>
#include <chrono>

#include "base/strings.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

constexpr std::chrono::minutes kTolerance{5};
constexpr int kFirstSaneYear = 2025;
constexpr int kLastSaneYear = 2100;

int year_of(UtcTime time) {
  return static_cast<int>(
      std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)).year());
}

Finding year_finding(UtcTime now) {
  int const year = year_of(now);
  if (year >= kFirstSaneYear && year <= kLastSaneYear)
    return {Severity::kOk, fmt::format("the clock says {}", to_iso_utc(now))};
  return {Severity::kError,
          fmt::format("the clock says {}: certificates will not be accepted", to_iso_utc(now)),
          "sudo timedatectl set-ntp true"};
}

Finding token_finding(Machine const& machine) {
  if (!machine.settings.hub_token())
    return {Severity::kInfo,
            "there is no token: gated and private repositories cannot be downloaded",
            "HF_TOKEN=hf_... in .env (make one at the Hub: Settings, Access Tokens)"};
  for (std::string_view const name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    auto const value = machine.settings.find(name);
    if (value && !trim(value->text).empty())
      return {Severity::kOk,
              fmt::format("a token is set ({} from {})", name, value->origin.to_string())};
  }
  return {Severity::kOk, "a token is set (from the token file)"};
}

void judge_clock(Machine const& machine, HubAnswer const& answer, Findings& out) {
  auto const theirs = answer.date ? parse_http_date(*answer.date) : std::nullopt;
  if (!theirs) return;
  auto const apart = std::chrono::abs(machine.now() - *theirs);
  if (apart <= kTolerance) return;
  out.push_back({Severity::kWarning,
                 fmt::format("the clock is {} minutes away from the Hub's",
                             std::chrono::duration_cast<std::chrono::minutes>(apart).count()),
                 "sudo timedatectl set-ntp true"});
}

void ask_hub(Machine const& machine, Findings& out) {
  std::string const endpoint = machine.settings.hub_endpoint();
  if (machine.settings.offline()) {
    out.push_back({Severity::kInfo, "offline by HF_HUB_OFFLINE: nothing is downloaded"});
    return;
  }
  auto const answer = machine.ask_hub(endpoint);
  if (!answer) {
    out.push_back({Severity::kWarning,
                   fmt::format("the Hub {} cannot be reached ({}); models that are in the cache "
                               "still work",
                               endpoint, answer.error().message),
                   "check the network, or work without it: HF_HUB_OFFLINE=1"});
    return;
  }
  constexpr int kServerError = 500;
  if (answer->status >= kServerError)
    out.push_back({Severity::kWarning,
                   fmt::format("the Hub {} answers with status {}", endpoint, answer->status),
                   "try again later"});
  else
    out.push_back({Severity::kOk, fmt::format("the Hub {} answers", endpoint)});
  judge_clock(machine, *answer, out);
}

}  // namespace

std::optional<UtcTime> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  constexpr std::size_t kLength = 29;
  text = trim(text);
  if (text.size() != kLength || text.substr(3, 2) != ", " || text.substr(25) != " GMT")
    return std::nullopt;
  auto const month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  std::array<unsigned, 5> numbers{};
  constexpr std::array<std::array<std::size_t, 2>, 5> kPlaces{
      {{5, 2}, {12, 4}, {17, 2}, {20, 2}, {23, 2}}};
  for (std::size_t i = 0; i < kPlaces.size(); ++i) {
    auto const number = parse_uint(text.substr(kPlaces[i][0], kPlaces[i][1]));
    if (!number) return std::nullopt;
    numbers[i] = static_cast<unsigned>(*number);
  }
  auto const [day, year, hour, minute, second] = numbers;
  std::chrono::year_month_day const date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                                         std::chrono::day(day)};
  // 60 is a leap second.
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  return UtcTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second);
}

Findings check_hub(Machine const& machine) {
  Findings out{year_finding(machine.now()), token_finding(machine)};
  ask_hub(machine, out);
  return out;
}

}  // namespace homelab::cli::doctor
