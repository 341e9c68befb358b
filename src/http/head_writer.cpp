#include "head_writer.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <iterator>

#include "base/log.h"
#include "text_rules.h"

namespace homelab::http {
namespace {

/// IMF-fixdate of now; made once a second per thread.
std::string_view date_text() {
  static constexpr std::array<char const*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                       "Thu", "Fri", "Sat"};
  static constexpr std::array<char const*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  thread_local std::time_t made_at = 0;
  thread_local std::string text;
  std::time_t const now = std::time(nullptr);
  if (now != made_at) {
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    // Not strftime: its names follow the locale.
    text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                       kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                       kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900,
                       utc.tm_hour, utc.tm_min, utc.tm_sec);
    made_at = now;
  }
  return text;
}

bool belongs_to_framing(std::string_view name) {
  return equals_without_case(name, "connection") || equals_without_case(name, "content-length") ||
         equals_without_case(name, "transfer-encoding") || equals_without_case(name, "keep-alive");
}

}  // namespace

std::string_view reason_phrase(int status) {
  struct Phrase {
    int status;
    std::string_view text;
  };
  static constexpr auto kPhrases = std::to_array<Phrase>({
      {100, "Continue"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Entity"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {507, "Insufficient Storage"},
  });
  for (Phrase const& phrase : kPhrases)
    if (phrase.status == status) return phrase.text;
  return "Status";
}

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

std::string write_head(int status, Headers const& headers, Framing const& framing) {
  std::string out;
  out.reserve(512);
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
  bool has_date = false;
  for (auto const& [name, value] : headers.fields()) {
    if (belongs_to_framing(name)) continue;
    if (!is_token(name) || !is_field_value(value)) {
      // The value is not logged: it is hostile, and it may be a secret.
      logger("http")->error(
          "left out a header field of an answer: line break or control character ({})",
          is_token(name) ? name : "in its name");
      continue;
    }
    has_date = has_date || equals_without_case(name, "date");
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (!has_date) out.append("date: ").append(date_text()).append("\r\n");
  if (framing.chunked) out.append("transfer-encoding: chunked\r\n");
  if (framing.content_length)
    fmt::format_to(std::back_inserter(out), "content-length: {}\r\n", *framing.content_length);
  if (!framing.keep_alive) {
    out.append("connection: close\r\n");
  } else if (framing.say_keep_alive) {
    out.append("connection: keep-alive\r\n");
  }
  return out.append("\r\n");
}

}  // namespace homelab::http
