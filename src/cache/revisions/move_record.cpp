#include "move_record.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/strings.h"

namespace homelab::cache {
namespace {

constexpr std::string_view kFirstLine = "homelab-revisions 1";
constexpr std::string_view kLastWord = "end ";

/// "<from> <to> <when> <revision>"
bool parse_line(std::string_view line, std::vector<RevisionMove>& moves) {
  constexpr std::size_t kHash = 40;
  if (line.size() < 2 * kHash + 5 || line[kHash] != ' ' || line[2 * kHash + 1] != ' ') return false;
  auto from = CommitHash::parse(line.substr(0, kHash));
  auto to = CommitHash::parse(line.substr(kHash + 1, kHash));
  auto const rest = line.substr(2 * kHash + 2);
  auto const blank = rest.find(' ');
  if (!from || !to || blank == std::string_view::npos) return false;
  auto const when = parse_uint(rest.substr(0, blank));
  auto revision = Revision::parse(rest.substr(blank + 1));
  if (!when || *when > static_cast<std::uint64_t>(INT64_MAX) || !revision) return false;
  moves.push_back(
      {std::move(*revision), std::move(*from), std::move(*to), static_cast<std::int64_t>(*when)});
  return true;
}

}  // namespace

std::string to_text(std::vector<RevisionMove> const& moves) {
  std::string text(kFirstLine);
  text += '\n';
  std::size_t const first = moves.size() > kMaxMoves ? moves.size() - kMaxMoves : 0;
  for (std::size_t i = first; i < moves.size(); ++i)
    text += fmt::format("{} {} {} {}\n", moves[i].from.text(), moves[i].to.text(), moves[i].when_s,
                        moves[i].revision.text());
  return text + fmt::format("{}{}\n", kLastWord, sha256_hex(text));
}

std::vector<RevisionMove> parse_moves(std::string_view text) {
  std::size_t const tail = kLastWord.size() + 65;  // "end <64 hex>\n"
  if (text.size() < tail) return {};
  std::string_view const body = text.substr(0, text.size() - tail);
  if (text.substr(body.size()) != fmt::format("{}{}\n", kLastWord, sha256_hex(body))) return {};
  auto const lines = split(body, '\n');
  if (lines.size() < 2 || lines.size() > kMaxMoves + 2 || lines.front() != kFirstLine ||
      !lines.back().empty())
    return {};
  std::vector<RevisionMove> moves;
  for (std::size_t i = 1; i + 1 < lines.size(); ++i)
    if (!parse_line(lines[i], moves)) return {};
  return moves;
}

}  // namespace homelab::cache
