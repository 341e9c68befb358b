// Event streams: the events do not depend on how the bytes are cut.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "http/sse_parser.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  std::size_t const piece_bytes = data[0] % 16U + 1U;
  std::string_view const text(reinterpret_cast<char const*>(data) + 1, size - 1);
  homelab::http::SseParser whole(256);
  homelab::http::SseParser cut(256);
  std::vector<homelab::http::SseEvent> from_whole;
  std::vector<homelab::http::SseEvent> from_cut;
  bool const whole_ok = whole.feed(text, from_whole).has_value();
  bool cut_ok = true;
  for (std::size_t at = 0; cut_ok && at < text.size(); at += piece_bytes)
    cut_ok = cut.feed(text.substr(at, piece_bytes), from_cut).has_value();
  if (whole_ok != cut_ok || from_whole != from_cut) std::abort();
  return 0;
}
