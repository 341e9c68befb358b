// The program's own notes in a hub folder: anything may stand there, and what is accepted is
// exactly what would be written.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "revisions/move_record.h"
#include "verify/verified_record.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// The seal is the fuzzer's worst enemy; behind it the lines are tried as well.
std::string sealed(std::string_view text, std::string_view first_line) {
  using namespace homelab;
  std::string body(first_line);
  body += text;
  return body + "end " + sha256_hex(body) + "\n";
}

void check(std::string_view text) {
  using namespace homelab::cache;
  auto const verified = parse_verified(text);
  require(parse_verified(to_text(verified)) == verified);
  auto const moves = parse_moves(text);
  require(parse_moves(to_text(moves)) == moves && moves.size() <= kMaxMoves);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text(reinterpret_cast<char const*>(data), size);
  check(text);
  check(sealed(text, "homelab-verified 1\n"));
  check(sealed(text, "homelab-revisions 1\n"));
  return 0;
}
