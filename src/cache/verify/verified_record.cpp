#include "verified_record.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "base/hash.h"
#include "base/strings.h"
#include "own_folder.h"

namespace homelab::cache {
namespace {

constexpr std::string_view kFirstLine = "homelab-verified 1";
constexpr std::string_view kLastWord = "end ";
constexpr std::size_t kMaxRecordBytes = 256ULL << 20;
constexpr std::size_t kFields = 7;

std::optional<std::int64_t> parse_time(std::string_view text) {
  bool const negative = text.starts_with('-');
  auto const digits = parse_uint(text.substr(negative ? 1 : 0));
  if (!digits || *digits > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  auto const value = static_cast<std::int64_t>(*digits);
  return negative ? -value : value;
}

/// The first six words and the rest, which is a path and may hold blanks.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (words.size() + 1 < kFields) {
    auto const blank = line.find(' ');
    if (blank == std::string_view::npos) return {};
    words.push_back(line.substr(0, blank));
    line.remove_prefix(blank + 1);
  }
  words.push_back(line);
  return words;
}

bool parse_line(std::string_view line, VerifiedRecord& record) {
  auto const words = words_of(line);
  if (words.size() != kFields || words.back().empty() || !BlobName::parse(words[0])) return false;
  auto const size = parse_uint(words[1]);
  auto const inode = parse_uint(words[2]);
  auto const modified = parse_time(words[3]);
  auto const changed = parse_time(words[4]);
  auto const when = parse_time(words[5]);
  if (!size || !inode || !modified || !changed || !when) return false;
  Verified entry{std::string(words[0]), {*size, *inode, *modified, *changed}, *when};
  return record.emplace(std::string(words[6]), std::move(entry)).second;
}

}  // namespace

std::string to_text(VerifiedRecord const& record) {
  std::string text(kFirstLine);
  text += '\n';
  std::size_t left = kMaxVerified;
  for (auto const& [path, entry] : record) {
    if (path.find('\n') != std::string::npos) continue;
    if (left-- == 0) break;
    text +=
        fmt::format("{} {} {} {} {} {} {}\n", entry.hash, entry.facts.size_bytes, entry.facts.inode,
                    entry.facts.modified_ns, entry.facts.changed_ns, entry.when_s, path);
  }
  return text + fmt::format("{}{}\n", kLastWord, sha256_hex(text));
}

VerifiedRecord parse_verified(std::string_view text) {
  // "end <64 hex>\n"
  std::size_t const tail = kLastWord.size() + 65;
  if (text.size() < tail) return {};
  std::string_view const body = text.substr(0, text.size() - tail);
  if (text.substr(body.size()) != fmt::format("{}{}\n", kLastWord, sha256_hex(body))) return {};
  auto lines = split(body, '\n');
  if (lines.size() < 2 || lines.front() != kFirstLine || !lines.back().empty()) return {};
  VerifiedRecord record;
  for (std::size_t i = 1; i + 1 < lines.size(); ++i)
    if (!parse_line(lines[i], record)) return {};
  return record;
}

VerifiedRecord VerifiedRecords::read(std::string const& repo_folder_name) const {
  auto const text =
      read_regular_file(own_folder(hub_folder_) / "verified" / repo_folder_name, kMaxRecordBytes);
  return text ? parse_verified(*text) : VerifiedRecord{};
}

Status VerifiedRecords::write(std::string const& repo_folder_name,
                              VerifiedRecord const& record) const {
  ASSIGN_OR_RETURN(FolderAt const folder, make_own_folder(hub_folder_, {"verified"}));
  return replace_file({folder, "." + repo_folder_name + ".tmp", folder, repo_folder_name},
                      to_text(record));
}

}  // namespace homelab::cache
