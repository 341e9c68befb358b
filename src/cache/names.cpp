#include "cache/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kMaxRepoIdLength = 96;
constexpr std::size_t kMaxRevisionBytes = 255;
constexpr std::size_t kMaxSegmentBytes = 255;
constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::string_view kModelPrefix = "models--";

constexpr std::array<bool, 256> kLowerHex = [] {
  std::array<bool, 256> table{};
  for (char const c : std::string_view("0123456789abcdef"))
    table.at(static_cast<unsigned char>(c)) = true;
  return table;
}();

bool is_lower_hex(std::string_view text) {
  // Without a way out: every blob of a cache comes through here, and nearly all are right.
  bool good = true;
  for (char const c : text) good &= kLowerHex[static_cast<unsigned char>(c)];
  return good;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_id_character(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool is_control(char c) {
  auto const byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

/// Input as it may stand in a message or log line: bounded, without control characters.
std::string shown(std::string_view text) {
  constexpr std::size_t kShownBytes = 120;
  std::string out;
  for (char const c : text.substr(0, kShownBytes)) out.push_back(is_control(c) ? '?' : c);
  if (text.size() > kShownBytes) out += "...";
  return out;
}

tl::unexpected<Error> bad(std::string_view what, std::string_view text, std::string_view rule) {
  return fail(Code::kInvalidArgument,
              fmt::format("{} \"{}\" is not valid: {}", what, shown(text), rule));
}

/// The rule that a part of a repository id breaks, or nothing.
std::string_view broken_rule_of_part(std::string_view part) {
  if (part.empty()) return "expected \"organisation/name\" or \"name\", each part not empty";
  if (!std::ranges::all_of(part, is_id_character))
    return "only letters, digits, '-', '_', '.' and one '/' are allowed";
  if (part.front() == '-' || part.front() == '.' || part.back() == '-' || part.back() == '.')
    return "a part must not begin or end with '-' or '.'";
  return {};
}

/// True for segments that would leave or repeat a folder.
bool is_bad_segment(std::string_view segment) {
  return segment.empty() || segment == "." || segment == "..";
}

std::string_view without_hub_address(std::string_view text) {
  constexpr std::array<std::string_view, 3> kSchemes = {"https://", "http://", "hf://"};
  constexpr std::array<std::string_view, 2> kHosts = {"huggingface.co/", "hf.co/"};
  for (auto const scheme : kSchemes) {
    if (text.starts_with(scheme)) {
      text.remove_prefix(scheme.size());
      break;
    }
  }
  for (auto const host : kHosts) {
    if (text.starts_with(host)) return text.substr(host.size());
  }
  return text;
}

}  // namespace

Result<RepoId> RepoId::parse(std::string_view text) {
  constexpr std::string_view kWhat = "repository id";
  if (text.empty()) return bad(kWhat, text, "expected \"organisation/name\" or \"name\"");
  if (text.size() > kMaxRepoIdLength) return bad(kWhat, text, "longer than 96 characters");
  auto const parts = split(text, '/');
  if (parts.size() > 2) return bad(kWhat, text, "at most one '/' is allowed");
  for (auto const part : parts) {
    if (auto const rule = broken_rule_of_part(part); !rule.empty()) return bad(kWhat, text, rule);
  }
  if (text.find("--") != std::string_view::npos || text.find("..") != std::string_view::npos)
    return bad(kWhat, text, "\"--\" and \"..\" are not allowed");
  if (text.ends_with(".git")) return bad(kWhat, text, "it must not end in \".git\"");
  return RepoId(std::string(text));
}

Result<RepoId> RepoId::from_folder_name(std::string_view folder) {
  if (!folder.starts_with(kModelPrefix))
    return bad("folder name", folder, "expected \"models--organisation--name\"");
  std::string text;
  std::string_view rest = folder.substr(kModelPrefix.size());
  while (true) {
    auto const at = rest.find("--");
    text += rest.substr(0, at);
    if (at == std::string_view::npos) break;
    text.push_back('/');
    rest.remove_prefix(at + 2);
  }
  auto id = parse(text);
  // "a---b" reads back differently from how it is written; such a folder belongs to no valid id.
  if (!id || id->folder_name() != folder)
    return bad("folder name", folder, "it is not the folder of a valid repository id");
  return id;
}

std::string RepoId::folder_name() const {
  std::string out(kModelPrefix);
  for (char const c : text_) {
    if (c == '/') {
      out += "--";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

Result<CommitHash> CommitHash::parse(std::string_view text) {
  if (text.size() != 40 || !is_lower_hex(text))
    return bad("commit", text, "expected 40 lower-case hexadecimal digits");
  return CommitHash(std::string(text));
}

Result<Revision> Revision::parse(std::string_view text) {
  constexpr std::string_view kWhat = "revision";
  if (text.empty()) return bad(kWhat, text, "expected a branch, tag or commit");
  if (text.size() > kMaxRevisionBytes) return bad(kWhat, text, "longer than 255 bytes");
  if (std::ranges::any_of(text, is_control) || text.find('\\') != std::string_view::npos)
    return bad(kWhat, text, "control characters and '\\' are not allowed");
  if (!is_utf8(text)) return bad(kWhat, text, "it is not valid UTF-8");
  for (auto const segment : split(text, '/')) {
    if (is_bad_segment(segment))
      return bad(kWhat, text, "empty, \".\" and \"..\" segments are not allowed");
    // Names that writers of this cache use for temporary files and locks below refs/.
    if (segment.ends_with(".lock") || segment.ends_with(".tmp"))
      return bad(kWhat, text, "no segment may end in \".lock\" or \".tmp\"");
  }
  return Revision(std::string(text));
}

Revision Revision::main() { return Revision("main"); }

bool Revision::is_commit() const { return text_.size() == 40 && is_lower_hex(text_); }

Result<BlobName> BlobName::parse(std::string_view text) {
  if ((text.size() != 40 && text.size() != 64) || !is_lower_hex(text))
    return bad("blob name", text, "expected 40 or 64 lower-case hexadecimal digits");
  return BlobName(std::string(text));
}

Result<BlobName> BlobName::from_etag(std::string_view etag) {
  std::string_view text = etag;
  while (!text.empty() && (text.front() == 'W' || text.front() == '/')) text.remove_prefix(1);
  while (!text.empty() && text.front() == '"') text.remove_prefix(1);
  while (!text.empty() && text.back() == '"') text.remove_suffix(1);
  auto name = parse(text);
  if (!name) {
    return bad("etag", etag,
               "expected a git object id or SHA-256 (40 or 64 lower-case hexadecimal digits); "
               "the endpoint is not a compatible Hub");
  }
  return name;
}

Result<RepoPath> RepoPath::parse(std::string_view text) {
  constexpr std::string_view kWhat = "file path";
  if (text.empty()) return bad(kWhat, text, "expected a path inside the repository");
  if (text.size() > kMaxPathBytes) return bad(kWhat, text, "longer than 1024 bytes");
  if (std::ranges::any_of(text, is_control))
    return bad(kWhat, text, "control characters are not allowed");
  if (!is_utf8(text)) return bad(kWhat, text, "it is not valid UTF-8");
  if (text.size() >= 2 && is_letter(text[0]) && text[1] == ':')
    return bad(kWhat, text, "it begins like a drive");
  for (auto const segment : split(text, '/')) {
    if (segment.size() > kMaxSegmentBytes)
      return bad(kWhat, text, "a segment is longer than 255 bytes");
    // Clients on other systems read '\' as a separator; what they would refuse must not enter the
    // cache.
    for (auto const piece : split(segment, '\\')) {
      if (is_bad_segment(piece))
        return bad(kWhat, text, "it must be relative, without empty, \".\" or \"..\" segments");
    }
  }
  return RepoPath(std::string(text));
}

std::string_view RepoPath::file_name() const {
  std::string_view const text = text_;
  return text.substr(text.rfind('/') + 1);
}

std::string_view RepoPath::extension() const {
  auto const name = file_name();
  auto const dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  return name.substr(dot + 1);
}

Result<ModelReference> ModelReference::parse(std::string_view text) {
  constexpr std::string_view kWhat = "model";
  std::string_view rest = without_hub_address(trim(text));
  std::string variant;
  Revision revision = Revision::main();
  if (auto const colon = rest.find(':'); colon != std::string_view::npos) {
    variant = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    // A variant is a quantisation or a file; both obey the rules of a path.
    if (!RepoPath::parse(variant))
      return bad(kWhat, text, "expected a quantisation or a file name after ':'");
  }
  if (auto const at = rest.find('@'); at != std::string_view::npos) {
    ASSIGN_OR_RETURN(revision, Revision::parse(rest.substr(at + 1)));
    rest = rest.substr(0, at);
  }
  ASSIGN_OR_RETURN(RepoId repo, RepoId::parse(rest));
  return ModelReference{std::move(repo), std::move(revision), std::move(variant)};
}

}  // namespace homelab::cache
