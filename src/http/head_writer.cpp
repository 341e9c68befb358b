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
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
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
