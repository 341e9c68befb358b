#pragma once
// Incremental reader of text/event-stream (HTML standard, §9.2.6), for streams of our engines and
// for tests.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace homelab::http {

struct SseEvent {
  std::string event;  ///< "" when the stream names none
  std::string data;   ///< lines of one event joined with '\n'
  friend bool operator==(SseEvent const&, SseEvent const&) = default;
};

/// Bytes in any pieces go in, whole events come out. Not thread-safe. Memory stays below about
/// twice the limit.
class SseParser {
 public:
  explicit SseParser(std::size_t limit_bytes = 1 << 20) : limit_bytes_(limit_bytes) {}

  /// Appends the events that `bytes` completes to `out`. kResourceExhausted when one line or one
  /// event is larger than the limit; the parser is then of no further use and every later call
  /// fails too.
  [[nodiscard]] Status feed(std::string_view bytes, std::vector<SseEvent>& out);

 private:
  [[nodiscard]] Status take_line(std::string_view line, std::vector<SseEvent>& out);
  [[nodiscard]] Status too_large();

  std::size_t limit_bytes_;
  std::string line_;  // begun, its end not yet seen
  SseEvent event_;
  bool has_data_ = false;
  bool first_line_ = true;
  bool skip_line_feed_ = false;  // the last piece ended with CR
  bool failed_ = false;
};

}  // namespace homelab::http
