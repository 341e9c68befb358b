#include "checks.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace homelab::config {
namespace {

constexpr std::size_t kMaxValueLength = 4096;  // PATH_MAX

using Test = bool (*)(std::string_view text);

struct Rule {
  std::string_view name;
  Test good;
  std::string_view expected;
};

bool is_whole(std::string_view text, std::uint64_t low, std::uint64_t high) {
  auto const number = parse_uint(trim(text));
  return number && *number >= low && *number <= high;
}
template <std::uint64_t low, std::uint64_t high>
bool whole(std::string_view text) {
  return is_whole(text, low, high);
}

bool is_positive(std::string_view text) {
  auto const number = parse_number(trim(text));
  return number && *number > 0 && *number <= 1e9;
}

bool is_not_negative(std::string_view text) {
  auto const number = parse_number(trim(text));
  return number && *number >= 0 && *number <= 1e9;
}

bool is_path_map(std::string_view text) { return parse_path_map(text).has_value(); }
bool is_root_list(std::string_view text) { return parse_custom_roots(text).has_value(); }

bool is_fraction(std::string_view text) {
  auto const number = parse_number(trim(text));
  return number && *number > 0 && *number <= 1;
}

bool is_host(std::string_view text) {
  std::string const host = bare_host(text);
  in6_addr address{};
  if (inet_pton(AF_INET6, host.c_str(), &address) == 1) return true;
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

bool is_url(std::string_view text) {
  text = trim(text);
  std::string const lower = to_lower(text);
  std::size_t const scheme = lower.starts_with("https://")  ? 8
                             : lower.starts_with("http://") ? 7
                                                            : 0;
  return scheme != 0 && text.size() > scheme && text[scheme] != '/' &&
         text.find_first_of(" \t?#\"<>") == std::string_view::npos;
}

template <bool (*good)(std::string_view)>
bool every(std::string_view text) {
  std::string const list(text);
  auto const parts = split(list, ',');
  return std::all_of(parts.begin(), parts.end(),
                     [](std::string_view part) { return trim(part).empty() || good(trim(part)); });
}
bool is_host_name(std::string_view text) { return text == "*" || is_host(text); }
bool is_origin(std::string_view text) {
  auto const scheme = text.find("://");
  if (text == "*") return true;
  return scheme != std::string_view::npos && scheme > 0 && text.size() > scheme + 3 &&
         text.find_first_of(" /?#@", scheme + 3) == std::string_view::npos;
}

bool is_log_level(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warn", "error"};
  return std::find(kLevels.begin(), kLevels.end(), to_lower(trim(text))) != kLevels.end();
}

bool is_switch(std::string_view text) { return parse_switch(text).has_value(); }
bool is_layers(std::string_view text) {
  return to_lower(trim(text)) == "auto" || is_whole(text, 0, 10000);
}
bool is_token(std::string_view text) {
  auto const token = clean_token(text);
  return !token || is_sendable_token(*token);
}

constexpr std::array kRules{
    Rule{"PRIMARY_CACHE_LIMIT_GB", is_positive, "a number of gigabytes above 0, for example 100"},
    Rule{"SECONDARY_CACHE_LIMIT_GB", is_positive,
         "a number of gigabytes above 0, for example 2000"},
    Rule{"CUSTOM_CACHE_PATHS", is_root_list,
         "at most 64 absolute paths separated by ':', each with or without =GIGABYTES, for example "
         "/mnt/a:/mnt/b=500"},
    Rule{"CACHE_PATH_MAP", is_path_map,
         "pairs of absolute paths HOST=HERE separated by ':', for example /home/me/hf=/cache"},
    Rule{"HOMELAB_LLM_ALLOW_CONTAINER_LAYER", is_switch, "true or false"},
    Rule{"CACHE_RESERVE_GB", is_not_negative, "a number of gigabytes, 0 or more, for example 10"},
    Rule{"CACHE_WARNING_THRESHOLD", is_fraction, "a number above 0 and at most 1, for example 0.9"},
    Rule{"HOMELAB_LLM_HOST", is_host, "a host name or an IP address, for example 127.0.0.1"},
    Rule{"HOMELAB_LLM_PORT", whole<0, 65535>, "a port number from 0 to 65535"},
    Rule{"HOMELAB_LLM_ALLOW_REMOTE", is_switch, "true or false"},
    Rule{"HOMELAB_LLM_ALLOWED_HOSTS", every<is_host_name>,
         "names separated by commas, without ports, for example homelab-llm,.example.org, or *"},
    Rule{"HOMELAB_LLM_CORS_ORIGINS", every<is_origin>,
         "origins separated by commas, as browsers send them, for example "
         "https://chat.example.org,http://nas:*, or *"},
    Rule{"HF_ENDPOINT", is_url,
         "a URL that begins with http:// or https://, without blanks and query"},
    Rule{"HF_TOKEN", is_token, "a token of printable characters without blanks"},
    Rule{"HUGGING_FACE_HUB_TOKEN", is_token, "a token of printable characters without blanks"},
    Rule{"HOMELAB_LLM_ENGINE_SANDBOX", is_switch, "on or off"},
    Rule{"HOMELAB_LLM_THREADS", whole<0, 1024>, "a whole number from 0 to 1024"},
    Rule{"HOMELAB_LLM_CONTEXT", whole<0, 16777216>, "a whole number of tokens from 0 to 16777216"},
    Rule{"HOMELAB_LLM_SLOTS", whole<1, 256>, "a whole number from 1 to 256"},
    Rule{"HOMELAB_LLM_GPU_LAYERS", is_layers, "auto, or a whole number from 0 to 10000"},
    Rule{"HOMELAB_LLM_MAX_LOADED", whole<1, 64>, "a whole number from 1 to 64"},
    Rule{"HOMELAB_LLM_IDLE_UNLOAD_S", whole<0, 31536000>,
         "a whole number of seconds from 0 to 31536000"},
    Rule{"HOMELAB_LLM_PING_MS", whole<0, 600000>,
         "a whole number of milliseconds from 0 to 600000"},
    Rule{"HOMELAB_LLM_HANG_S", whole<0, 86400>, "a whole number of seconds from 0 to 86400"},
    Rule{"HOMELAB_LLM_TRASH_HOURS", whole<0, 87600>, "a whole number of hours from 0 to 87600"},
    Rule{"HOMELAB_LLM_LOG_RUNS", is_switch, "on or off"},
    Rule{"HOMELAB_LLM_RUNS_KEEP_DAYS", whole<0, 36500>, "a whole number of days from 0 to 36500"},
    Rule{"HOMELAB_LLM_RUNS_KEEP", whole<0, 1000000000>, "a whole number from 0 to 1000000000"},
    Rule{"HOMELAB_LLM_LOG_LEVEL", is_log_level, "debug, info, warn or error"},
};

Status refuse(Setting const& row, Value const& value, std::string_view expected) {
  std::string shown = "a value that is not shown";
  if (!row.secret) {
    std::string text = value.text.substr(0, 100);
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 0x20 || c == '\x7F') c = '?';
    shown = fmt::format("'{}'", hide_credentials(text));
  }
  return fail(Code::kInvalidArgument, fmt::format("{} is {} (from {}); expected {}", row.name,
                                                  shown, value.origin.to_string(), expected));
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7F'; });
}

}  // namespace

Status check_value(Setting const& row, Value const& value) {
  if (value.text.size() > kMaxValueLength)
    return refuse(row, value, fmt::format("at most {} characters", kMaxValueLength));
  if (!row.secret && has_control_character(value.text))
    return refuse(row, value, "text without control characters");
  auto const rule = std::find_if(kRules.begin(), kRules.end(),
                                 [&](Rule const& each) { return each.name == row.name; });
  if (rule != kRules.end() && !rule->good(value.text)) return refuse(row, value, rule->expected);
  return {};
}

std::optional<std::vector<RootItem>> parse_custom_roots(std::string_view text) {
  constexpr std::size_t kMaxRoots = 64;
  std::vector<RootItem> items;
  for (auto const part : split(text, ':')) {
    if (items.size() == kMaxRoots) return std::nullopt;
    std::string_view one = trim(part);
    RootItem item;
    auto const equals = one.rfind('=');
    // A folder may have '=' in its name: only a number behind the last one is a quota.
    if (equals != std::string_view::npos && is_positive(one.substr(equals + 1))) {
      item.limit_gb = parse_number(trim(one.substr(equals + 1))).value_or(0);
      one = trim(one.substr(0, equals));
    }
    if (!one.starts_with('/') && !one.starts_with("~/")) return std::nullopt;
    item.path = one;
    items.push_back(std::move(item));
  }
  return items;
}

std::optional<std::vector<Settings::PathPair>> parse_path_map(std::string_view text) {
  std::vector<Settings::PathPair> pairs;
  for (auto const part : split(text, ':')) {
    auto const equals = part.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    auto const host = trim(part.substr(0, equals));
    auto const here = trim(part.substr(equals + 1));
    if (!host.starts_with('/') || !here.starts_with('/')) return std::nullopt;
    pairs.push_back({std::string(host), std::string(here)});
  }
  return pairs;
}

std::optional<bool> parse_switch(std::string_view text) {
  std::string const word = to_lower(trim(text));
  if (word == "1" || word == "true" || word == "yes" || word == "on") return true;
  if (word == "0" || word == "false" || word == "no" || word == "off") return false;
  return std::nullopt;
}

bool python_switch(std::string_view text) {
  std::string const word = to_lower(text);
  return word == "1" || word == "on" || word == "yes" || word == "true";
}

bool is_loopback(std::string_view host) {
  std::string const bare = to_lower(bare_host(host));
  if (bare == "localhost" || bare == "localhost.") return true;
  in_addr four{};
  if (inet_pton(AF_INET, bare.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24U) == 127;
  in6_addr six{};
  if (inet_pton(AF_INET6, bare.c_str(), &six) != 1) return false;
  if (IN6_IS_ADDR_LOOPBACK(&six)) return true;
  return IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127;
}

std::string bare_host(std::string_view text) {
  text = trim(text);
  if (text.size() > 2 && text.starts_with('[') && text.ends_with(']'))
    text = text.substr(1, text.size() - 2);
  return std::string(text);
}

std::optional<std::string> clean_token(std::string_view text) {
  std::string token(text);
  std::erase_if(token, [](char c) { return c == '\r' || c == '\n'; });
  token = std::string(trim(token));
  if (token.empty()) return std::nullopt;
  return token;
}

bool is_sendable_token(std::string_view token) {
  return std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

std::string hide_credentials(std::string_view url) {
  auto const scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  auto const authority = scheme + 3;
  auto const end = url.find_first_of("/?#", authority);
  auto const at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < authority) return std::string(url);
  return std::string(url.substr(0, authority)) + "(hidden)" + std::string(url.substr(at));
}

}  // namespace homelab::config
