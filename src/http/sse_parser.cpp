#include "http/sse_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace homelab::http {

Status SseParser::too_large() {
  failed_ = true;
  line_ = {};
  event_ = {};
  return fail(
      Code::kResourceExhausted,
      fmt::format("a line or event of an event stream is larger than {} bytes", limit_bytes_));
}

Status SseParser::feed(std::string_view bytes, std::vector<SseEvent>& out) {
  if (failed_) return too_large();
  while (!bytes.empty()) {
    if (std::exchange(skip_line_feed_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    std::size_t const end = bytes.find_first_of("\r\n");
    std::string_view const piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > limit_bytes_) return too_large();
    if (end == std::string_view::npos) {
      line_ += piece;
      return {};
    }
    skip_line_feed_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      RETURN_IF_ERROR(take_line(piece, out));
    } else {
      line_ += piece;
      std::string const line = std::exchange(line_, {});
      RETURN_IF_ERROR(take_line(line, out));
    }
  }
  return {};
}

Status SseParser::take_line(std::string_view line, std::vector<SseEvent>& out) {
  if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) {
    // An event without data is none (same rule as in browsers).
    if (has_data_) out.push_back(std::move(event_));
    event_ = {};
    has_data_ = false;
    return {};
  }
  std::size_t const colon = std::min(line.find(':'), line.size());
  std::string_view const field = line.substr(0, colon);
  std::string_view value = line.substr(std::min(colon + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (event_.data.size() + value.size() + 1 > limit_bytes_) return too_large();
    if (has_data_) event_.data.push_back('\n');
    event_.data += value;
    has_data_ = true;
  } else if (field == "event") {
    event_.event = value;
  }
  return {};
}

}  // namespace homelab::http
