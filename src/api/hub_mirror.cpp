// The Hub's dialect over the mirror's values (hub protocol §1, §4, §7).
#include <fmt/format.h>

#include "base/strings.h"
#include "dialects.h"
#include "replies.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;
using http::Response;
using mirror::Answer;
using mirror::Mirror;
using mirror::Refusal;

constexpr std::string_view kExposed =
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,"
    "Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash";

Response refusal_reply(Refusal const& refusal) {
  Response response = json_reply(refusal.http_status(), json::object{{"error", refusal.message}});
  if (!refusal.hub_code().empty()) response.headers.set("x-error-code", refusal.hub_code());
  response.headers.set("x-error-message", refusal.message);
  if (refusal.commit) response.headers.set("x-repo-commit", refusal.commit->text());
  response.headers.set("access-control-expose-headers", kExposed);
  return response;
}

Refusal no_such_repo(std::string const& why) {
  return {mirror::Reason::kRepoNotFound, why, std::nullopt};
}

Response document_reply(Answer<mirror::Document> const& answer) {
  if (!answer) return refusal_reply(answer.error());
  Response response = json_reply(200, answer->body);
  response.headers.set("x-repo-commit", answer->commit.text());
  response.headers.set("access-control-expose-headers", kExposed);
  return response;
}

/// The repository of a route with {org} and {name}, or with {name} alone.
Answer<cache::RepoId> repo_of(Request const& request) {
  std::string const org = request.path_value("org");
  std::string const name = request.path_value("name");
  auto id = cache::RepoId::parse(org.empty() ? name : org + "/" + name);
  if (!id) return tl::unexpected<Refusal>(no_such_repo(id.error().message));
  return *std::move(id);
}

struct Place {
  cache::RepoId repo;
  cache::Revision revision;
  std::string path;
};

/// Splits {rest...}: clients differ in how they encode a revision with slashes (protocol §1), so it
/// is cut into raw segments first, decoded once, and the longest known ref wins.
Answer<Place> place_of(Mirror const& mirror, Request const& request) {
  auto repo = repo_of(request);
  if (!repo) return tl::unexpected<Refusal>(std::move(repo).error());
  std::vector<std::string> segments;
  std::string const rest = request.path_value("rest");
  for (std::string_view const raw : split(rest, '/')) {
    auto decoded = percent_decode(raw);
    if (!decoded)
      return tl::unexpected<Refusal>(Refusal{mirror::Reason::kRevisionNotFound,
                                             "The path holds a broken percent escape",
                                             std::nullopt});
    segments.push_back(*std::move(decoded));
  }
  auto split_up = mirror.split_revision(*repo, segments);
  if (!split_up) return tl::unexpected<Refusal>(std::move(split_up).error());
  return Place{*std::move(repo), std::move(split_up->revision), std::move(split_up->path)};
}

bool is_set(std::optional<std::string> const& flag) {
  return flag && (*flag == "true" || *flag == "True" || *flag == "1");
}

Reply repo_info(Mirror const& mirror, Request const& request, cache::RepoId const& repo,
                cache::Revision const& revision) {
  return document_reply(mirror.repo_info(repo, revision, is_set(request.query_value("blobs"))));
}

Reply default_info(Mirror const& mirror, Request const& request) {
  auto const repo = repo_of(request);
  if (!repo) return refusal_reply(repo.error());
  return repo_info(mirror, request, *repo, cache::Revision::main());
}

Reply revision_info(Mirror const& mirror, Request const& request) {
  auto const place = place_of(mirror, request);
  if (!place) return refusal_reply(place.error());
  if (!place->path.empty())
    return refusal_reply({mirror::Reason::kRevisionNotFound,
                          fmt::format("No such revision of {}", place->repo.text()), std::nullopt});
  return repo_info(mirror, request, place->repo, place->revision);
}

Reply tree(Mirror const& mirror, Request const& request) {
  auto const place = place_of(mirror, request);
  if (!place) return refusal_reply(place.error());
  Mirror::TreeQuery query;
  query.folder = place->path;
  query.recursive = is_set(request.query_value("recursive"));
  query.expand = is_set(request.query_value("expand"));
  return document_reply(mirror.tree(place->repo, place->revision, query));
}

/// Python sends a form (paths=a&paths=b&expand=false), JavaScript a JSON object.
struct WantedPaths {
  std::vector<std::string> paths;
  bool expand = false;
};

std::optional<WantedPaths> wanted_paths(Request const& request) {
  WantedPaths out;
  if (request.body.starts_with('{')) {
    auto const body = parse_json(request.body);
    json::object const* const fields = body ? body->if_object() : nullptr;
    json::array const* const paths = fields ? get_array(*fields, "paths") : nullptr;
    if (!paths) return std::nullopt;
    for (json::value const& path : *paths) {
      if (!path.is_string()) return std::nullopt;
      out.paths.emplace_back(path.get_string());
    }
    out.expand = get_bool(*fields, "expand").value_or(false);
    return out;
  }
  for (std::string_view const pair : split(request.body, '&')) {
    Request one;
    one.query = std::string(pair);
    if (auto path = one.query_value("paths")) out.paths.push_back(*std::move(path));
    if (is_set(one.query_value("expand"))) out.expand = true;
  }
  return out;
}

Reply paths_info(Mirror const& mirror, Request const& request) {
  auto const place = place_of(mirror, request);
  if (!place) return refusal_reply(place.error());
  auto const wanted = wanted_paths(request);
  if (!wanted) return json_reply(400, json::object{{"error", "expected {\"paths\": [\"...\"]}"}});
  return document_reply(
      mirror.paths_info(place->repo, place->revision, wanted->paths, wanted->expand));
}

Response value_reply(Answer<json::value> const& answer) {
  return answer ? json_reply(200, *answer) : refusal_reply(answer.error());
}

Reply refs(Mirror const& mirror, Request const& request) {
  auto const repo = repo_of(request);
  if (!repo) return refusal_reply(repo.error());
  return value_reply(mirror.refs(*repo, is_set(request.query_value("include_prs"))));
}

Reply list(Mirror const& mirror, Request const& request) {
  constexpr std::size_t kMostRepos = 1000;
  auto const limit = parse_uint(request.query_value("limit").value_or(""));
  std::size_t const most = limit ? std::min<std::size_t>(*limit, kMostRepos) : kMostRepos;
  return value_reply(mirror.list(request.query_value("search").value_or(""), most));
}

Reply resolve(Mirror const& mirror, Request const& request) {
  auto const place = place_of(mirror, request);
  if (!place) return refusal_reply(place.error());
  auto const path = cache::RepoPath::parse(place->path);
  if (!path)
    return refusal_reply({mirror::Reason::kEntryNotFound, path.error().message, std::nullopt});
  auto file = mirror.resolve(place->repo, place->revision, *path);
  if (!file) return refusal_reply(file.error());

  http::FileReply reply;
  std::string const etag = fmt::format("\"{}\"", file->etag.text());
  reply.headers.set("content-type", "application/octet-stream");
  reply.headers.set("etag", etag);
  reply.headers.set("x-repo-commit", file->commit.text());
  reply.headers.set("accept-ranges", "bytes");
  reply.headers.set("cache-control", "no-cache");
  if (file->etag.is_sha256()) {
    reply.headers.set("x-linked-etag", etag);
    reply.headers.set("x-linked-size", fmt::format("{}", file->size_bytes));
  }
  reply.headers.set("access-control-expose-headers", kExposed);
  reply.size_bytes = file->size_bytes;
  reply.file = std::move(file->file);
  return reply;
}

using Route = Reply (*)(Mirror const&, Request const&);

}  // namespace

void add_mirror_routes(http::Router& router, std::string const& prefix, Mirror const& mirror) {
  auto const add = [&](std::string const& method, std::string const& pattern, Route route) {
    router.add(method, prefix + pattern,
               [&mirror, route](Request const& request) { return route(mirror, request); });
  };
  add("GET", "/api/models", list);
  // Old repositories have no organisation: every route in two forms.
  for (std::string const id : {"{org}/{name}", "{name}"}) {
    std::string const api = "/api/models/" + id;
    add("GET", api, default_info);
    add("GET", api + "/revision/{rest...}", revision_info);
    add("GET", api + "/tree/{rest...}", tree);
    add("POST", api + "/paths-info/{rest...}", paths_info);
    add("GET", api + "/refs", refs);
    add("GET", "/" + id + "/resolve/{rest...}", resolve);
    add("HEAD", "/" + id + "/resolve/{rest...}", resolve);
  }
}

}  // namespace homelab::api
