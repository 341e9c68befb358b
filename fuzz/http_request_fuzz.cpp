// Requests: the parser never reads too far, never gives more body than allowed, and does not depend
// on the cuts.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "message_parser.h"

namespace {

constexpr std::size_t kBodyLimit = 64;

struct Outcome {
  int refusal = 0;
  std::string target;
  std::string body;
  bool done = false;
  bool undecided = false;  // so few bytes are left that the parser waits for more
  bool operator==(Outcome const&) const = default;
};

/// Gives the parser what is there; the status of a refusal, or 0.
int read_body(homelab::http::RequestParser& parser, std::string& in, Outcome& outcome) {
  while (!outcome.done && !in.empty()) {
    std::size_t used = 0;
    if (auto const refusal = parser.parse_body(in, used)) return refusal->status;
    if (used > in.size() || outcome.body.size() > kBodyLimit) std::abort();
    in.erase(0, used);
    outcome.done = parser.done();
    if (used == 0) break;
  }
  return 0;
}

/// Does what a connection does with bytes that come in pieces.
Outcome run(std::string_view text, std::size_t piece_bytes) {
  using namespace homelab::http;
  Outcome outcome;
  std::string in;
  std::size_t scanned = 0;
  RequestParser parser;
  bool head_done = false;
  for (std::size_t at = 0; at < text.size() && !outcome.done; at += piece_bytes) {
    in += text.substr(at, piece_bytes);
    if (!head_done) {
      HeadSearch const search = find_end_of_head(in, scanned);
      if (search.refusal) return {search.refusal->status, {}, {}, false, false};
      if (!search.end) continue;
      auto refusal = parser.parse_head(std::string_view(in).substr(0, *search.end));
      if (!refusal) refusal = parser.begin_body(outcome.body, kBodyLimit);
      if (refusal) return {refusal->status, {}, {}, false, false};
      in.erase(0, *search.end);
      head_done = true;
      outcome.target = parser.head().target;
      outcome.done = !parser.head().has_body();
    }
    if (int const refused = read_body(parser, in, outcome); refused != 0)
      return {refused, {}, {}, false, false};
  }
  outcome.undecided = head_done && !outcome.done && in.size() < 5;
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  std::size_t const piece_bytes = data[0] % 32U + 1U;
  std::string_view const text(reinterpret_cast<char const*>(data) + 1, size - 1);
  Outcome const whole = run(text, std::max<std::size_t>(text.size(), 1));
  Outcome const cut = run(text, piece_bytes);
  if (whole.undecided || cut.undecided) return 0;
  // A refusal may come earlier when less is known, with another reason; that it is refused must not
  // change.
  if ((whole.refusal == 0) != (cut.refusal == 0)) std::abort();
  if (whole.refusal == 0 && !(whole == cut)) std::abort();
  return 0;
}
