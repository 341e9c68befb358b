#include "answers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"
#include "base/time.h"

namespace homelab::hub {
namespace {

using cache::RepoPath;
using cache::TreeFile;

bool is_hex(std::string_view text, std::size_t length) {
  return text.size() == length && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

tl::unexpected<Error> bad(std::string message) {
  return fail(Code::kDataLoss, "the Hub's answer breaks its own rules: " + std::move(message));
}

/// "2026-01-31T12:00:00.000Z": all that is shown to people is checked first.
bool is_date(std::string_view text) {
  return text.ends_with('Z') && parse_database_text(text.substr(0, text.size() - 1));
}

Result<json::value> parse_body(std::string_view body) {
  auto value = parse_json(body, 32);
  if (!value) return bad(value.error().message);
  return value;
}

Status read_lfs(json::object const& lfs, TreeFile& file) {
  // "oid" in /tree; some servers write "sha256:<hex>".
  auto sha256 = get_string(lfs, "oid");
  if (!sha256) sha256 = get_string(lfs, "sha256");
  if (sha256 && sha256->starts_with("sha256:")) sha256->erase(0, 7);
  if (!sha256 || !is_hex(*sha256, 64))
    return bad(fmt::format("the LFS hash of '{}' is not 64 hex digits", file.path.text()));
  if (auto const size = get_int(lfs, "size");
      size && static_cast<std::uint64_t>(std::max<std::int64_t>(*size, 0)) != file.size_bytes)
    return bad(fmt::format("'{}' has two different sizes", file.path.text()));
  file.lfs_sha256 = std::move(*sha256);
  return {};
}

Result<TreeFile> parse_entry(json::object const& entry) {
  auto const path = get_string(entry, "path");
  if (!path) return bad("an entry of the listing has no path");
  auto checked = RepoPath::parse(*path);
  if (!checked) return bad(checked.error().message);
  auto const size = get_int(entry, "size");
  if (!size || *size < 0) return bad(fmt::format("'{}' has no valid size", checked->text()));
  auto const oid = get_string(entry, "oid");
  if (!oid || !is_hex(*oid, 40))
    return bad(fmt::format("the oid of '{}' is not 40 hex digits", checked->text()));
  TreeFile file{std::move(*checked), static_cast<std::uint64_t>(*size), *oid, std::nullopt,
                std::nullopt};
  if (auto const* lfs = get_object(entry, "lfs")) RETURN_IF_ERROR(read_lfs(*lfs, file));
  // Only handed on to trees/<commit>.json: a bad one would make Python ignore that whole file.
  if (auto xet = get_string(entry, "xetHash"); xet && is_hex(*xet, 64))
    file.xet_hash = std::move(*xet);
  return file;
}

std::string printable_line(std::string_view text) {
  std::string out;
  for (char const c : text.substr(0, 200)) out.push_back(c >= ' ' && c <= '~' ? c : ' ');
  return out;
}

std::string server_says(http::Headers const& headers) {
  auto const message = headers.find("X-Error-Message");
  if (!message || trim(*message).empty()) return {};
  return fmt::format(" (the server says: {})", printable_line(trim(*message)));
}

Error denied(int status, std::string_view code, std::string_view what, std::string_view endpoint,
             bool has_token, std::string const& says) {
  if (code == "RepoNotFound")
    return {Code::kPermissionDenied,
            fmt::format("{}: there is no such repository on {}, or it is private. Check the name; "
                        "for a private one set HF_TOKEN to a token that may read it{}",
                        what, endpoint, says)};
  if (code == "GatedRepo" && has_token)
    return {Code::kPermissionDenied,
            fmt::format("{} is gated and the account of this token has no access. Ask for it on "
                        "the model's page at {}{}",
                        what, endpoint, says)};
  if (code == "GatedRepo")
    return {Code::kPermissionDenied,
            fmt::format("{} is gated: accept its terms on the model's page at {} and set HF_TOKEN "
                        "to a token of that account{}",
                        what, endpoint, says)};
  return {Code::kPermissionDenied,
          fmt::format("{}: {} refuses access with HTTP {}. {}{}", what, endpoint, status,
                      has_token ? "Check that HF_TOKEN is valid and may read it"
                                : "Set HF_TOKEN to a token that may read it",
                      says)};
}

Error missing(std::string_view code, std::string_view what, std::string_view endpoint,
              std::string const& says) {
  std::string_view meaning = "does not exist";
  if (code == "RepoNotFound")
    meaning = "no such repository (check the name; private ones need HF_TOKEN)";
  if (code == "RevisionNotFound") meaning = "no such revision (branch, tag or commit)";
  if (code == "EntryNotFound") meaning = "no such file at this commit";
  return {Code::kNotFound, fmt::format("{}: {} on {}{}", what, meaning, endpoint, says)};
}

}  // namespace

Result<RemoteRevision> parse_repo_info(std::string_view body) {
  ASSIGN_OR_RETURN(json::value const value, parse_body(body));
  auto const* object = value.if_object();
  auto const sha = object ? get_string(*object, "sha") : std::nullopt;
  if (!sha) return bad("the repository info has no 'sha'");
  auto commit = cache::CommitHash::parse(*sha);
  if (!commit) return bad(commit.error().message);
  RemoteRevision remote{*std::move(commit), get_string(*object, "lastModified")};
  if (remote.last_modified && !is_date(*remote.last_modified)) remote.last_modified.reset();
  return remote;
}

Status parse_tree_page(std::string_view body, std::vector<TreeFile>& files) {
  ASSIGN_OR_RETURN(json::value const value, parse_body(body));
  auto const* entries = value.if_array();
  if (!entries) return bad("the listing is no array");
  for (auto const& item : *entries) {
    auto const* entry = item.if_object();
    if (!entry) return bad("an entry of the listing is no object");
    auto const type = get_string(*entry, "type");
    if (type == "directory") continue;
    if (type != "file") return bad("an entry of the listing is neither file nor directory");
    ASSIGN_OR_RETURN(auto file, parse_entry(*entry));
    files.push_back(std::move(file));
  }
  return {};
}

Result<cache::Tree> make_tree(std::vector<TreeFile> files) {
  std::sort(files.begin(), files.end(),
            [](TreeFile const& a, TreeFile const& b) { return a.path < b.path; });
  cache::Tree tree{std::move(files)};
  for (std::size_t i = 1; i < tree.files.size(); ++i)
    if (tree.files[i].path == tree.files[i - 1].path)
      return bad(fmt::format("'{}' is listed twice", tree.files[i].path.text()));
  for (auto const& file : tree.files) {
    std::string const& path = file.path.text();
    for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (tree.find(std::string_view(path).substr(0, slash)))
        return bad(fmt::format("'{}' is a file and a folder", path.substr(0, slash)));
  }
  return tree;
}

std::optional<std::string> next_link(std::string_view header) {
  // <url>; rel="next", <url>; rel="last". A URL may hold commas, so links are found by their angle
  // brackets.
  std::size_t at = 0;
  while ((at = header.find('<', at)) != std::string_view::npos) {
    auto const end = header.find('>', at);
    if (end == std::string_view::npos) return std::nullopt;
    auto const next = header.find('<', end);
    auto const parameters =
        header.substr(end + 1, next == std::string_view::npos ? next : next - end - 1);
    if (parameters.find("rel=\"next\"") != std::string_view::npos ||
        parameters.find("rel=next") != std::string_view::npos)
      return std::string(header.substr(at + 1, end - at - 1));
    at = end;
  }
  return std::nullopt;
}

std::optional<std::string> origin_of(std::string_view url) {
  std::string const lower = to_lower(url);
  bool const secure = lower.starts_with("https://");
  if (!secure && !lower.starts_with("http://")) return std::nullopt;
  std::size_t const start = secure ? 8 : 7;
  auto const end = lower.find_first_of("/?#", start);
  std::string host = lower.substr(start, end == std::string::npos ? end : end - start);
  if (auto const at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
  if (host.empty()) return std::nullopt;
  auto const colon = host.rfind(':');
  bool const has_port = colon != std::string::npos && host.find(']', colon) == std::string::npos;
  return fmt::format("{}{}{}", lower.substr(0, start), host,
                     has_port ? "" : (secure ? ":443" : ":80"));
}

Error error_of_answer(int status, http::Headers const& headers, std::string_view what,
                      std::string_view endpoint, bool has_token) {
  std::string const code(headers.find("X-Error-Code").value_or(""));
  std::string const says = server_says(headers);
  if (status == 401 || status == 403) return denied(status, code, what, endpoint, has_token, says);
  if (status == 404 || status == 410) return missing(code, what, endpoint, says);
  if (status == 429)
    return {
        Code::kUnavailable,
        fmt::format("{}: {} limits the rate of requests (HTTP 429). Wait some minutes{}{}", what,
                    endpoint, has_token ? "" : "; with HF_TOKEN the limit is higher", says)};
  if (status >= 500)
    return {Code::kUnavailable,
            fmt::format("{}: {} answers HTTP {}. Try again later{}", what, endpoint, status, says)};
  return {Code::kDataLoss, fmt::format("{}: {} answers HTTP {}, which is no answer of a Hub{}",
                                       what, endpoint, status, says)};
}

}  // namespace homelab::hub
