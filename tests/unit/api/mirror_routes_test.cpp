#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/hash.h"
#include "fakes.h"

namespace homelab::api {
namespace {

using test::ApiFixture;
using test::json_of;

constexpr auto kCommit = "0123456789012345678901234567890123456789";

/// A complete repository with one large and one small file; gives the large one's blob name.
std::string write_repo(ApiFixture const& api, std::string const& folder_name) {
  std::string const root = "primary/hub/" + folder_name;
  std::string const weights = "weights of the model";
  std::string const config = "{}";
  std::string const weights_blob = sha256_hex(weights);
  auto hasher = Hasher::git_blob(config.size());
  hasher.update(config);
  std::string const config_blob = hasher.finish();
  api.folder.write(root + "/blobs/" + weights_blob, weights);
  api.folder.write(root + "/blobs/" + config_blob, config);
  api.folder.write(root + "/refs/main", kCommit);
  auto const snapshot = api.folder / (root + "/snapshots/" + kCommit);
  std::filesystem::create_directories(snapshot);
  std::filesystem::create_symlink("../../blobs/" + weights_blob, snapshot / "model.safetensors");
  std::filesystem::create_symlink("../../blobs/" + config_blob, snapshot / "config.json");
  std::string const pointer_oid(40, 'a');
  api.folder.write(
      root + "/trees/" + kCommit + ".json",
      cache::to_tree_json(
          cache::Tree{{{*cache::RepoPath::parse("config.json"), config.size(), config_blob, {}, {}},
                       {*cache::RepoPath::parse("model.safetensors"),
                        weights.size(),
                        pointer_oid,
                        weights_blob,
                        {}}}}));
  return weights_blob;
}

std::string content_of(http::FileReply const& reply) {
  std::string text(reply.size_bytes, '\0');
  EXPECT_EQ(::pread(reply.file.get(), text.data(), text.size(), 0),
            static_cast<ssize_t>(text.size()));
  return text;
}

std::string body_of(http::Reply const& reply) {
  auto const* response = std::get_if<http::Response>(&reply);
  return response ? response->body : "";
}

TEST(MirrorRoutes, resolve_gives_the_file_with_the_headers_that_clients_need) {
  ApiFixture api;
  std::string const blob = write_repo(api, "models--org--smol");
  for (std::string const method : {"GET", "HEAD"}) {
    http::Reply reply = api.send(method, "/hub/org/smol/resolve/main/model.safetensors");
    auto* file = std::get_if<http::FileReply>(&reply);
    ASSERT_NE(file, nullptr) << method << ' ' << body_of(reply);
    EXPECT_EQ(content_of(*file), "weights of the model");
    EXPECT_EQ(file->headers.find("x-repo-commit"), kCommit);
    EXPECT_EQ(file->headers.find("etag"), '"' + blob + '"');
    EXPECT_EQ(file->headers.find("x-linked-etag"), '"' + blob + '"');
    EXPECT_EQ(file->headers.find("x-linked-size"), "20");
  }
}

TEST(MirrorRoutes, accept_single_part_names_and_commits) {
  ApiFixture api;
  write_repo(api, "models--gpt2");
  http::Reply reply = api.send("GET", std::string("/hub/gpt2/resolve/") + kCommit + "/config.json");
  ASSERT_TRUE(std::holds_alternative<http::FileReply>(reply)) << body_of(reply);
  EXPECT_EQ(api.ask("GET", "/hub/api/models/gpt2").status, 200);
  EXPECT_EQ(api.ask("GET", "/hub/api/models/gpt2/refs").status, 200);
}

TEST(MirrorRoutes, repo_info_carries_the_commit) {
  ApiFixture api;
  write_repo(api, "models--org--smol");
  for (std::string const target :
       {"/hub/api/models/org/smol", "/hub/api/models/org/smol/revision/main"}) {
    auto const response = api.ask("GET", target);
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(json_of(response).as_object().at("sha").as_string(), kCommit);
    EXPECT_EQ(response.headers.find("x-repo-commit"), kCommit);
  }
}

TEST(MirrorRoutes, refuse_in_the_words_of_the_hub) {
  ApiFixture api;
  write_repo(api, "models--org--smol");
  auto response = api.ask("GET", "/hub/api/models/org/none");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.find("x-error-code"), "RepoNotFound");
  response = api.ask("GET", "/hub/org/smol/resolve/other/config.json");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.find("x-error-code"), "RevisionNotFound");
  response = api.ask("GET", "/hub/api/models/a..b/c/refs");
  EXPECT_EQ(response.status, 404);
  EXPECT_FALSE(json_of(response).as_object().at("error").as_string().empty());
}

TEST(MirrorRoutes, never_leave_the_repository) {
  ApiFixture api;
  write_repo(api, "models--org--smol");
  api.folder.write("primary/hub/secret", "x");
  for (std::string const path :
       {"..%2F..%2F..%2Fsecret", "%2e%2e/%2e%2e/%2e%2e/secret", "a%00b", "%zz"}) {
    auto const response = api.ask("GET", "/hub/org/smol/resolve/main/" + path);
    EXPECT_GE(response.status, 400) << path;
    EXPECT_LT(response.status, 500) << path;
  }
}

TEST(MirrorRoutes, the_mirror_alone_stands_at_the_root) {
  ApiFixture api;
  write_repo(api, "models--org--smol");
  http::Router const router =
      make_mirror_router(api.mirror, std::make_shared<access::Gate>(access::Gate::Options{}));
  EXPECT_NE(router.match("GET", "/api/models/org/smol/refs").handler, nullptr);
  EXPECT_NE(router.match("HEAD", "/org/smol/resolve/main/config.json").handler, nullptr);
  EXPECT_NE(router.match("GET", "/health").handler, nullptr);
  EXPECT_EQ(router.match("POST", "/api/generate").handler, nullptr);
}

TEST(MirrorRoutes, paths_info_reads_forms_and_json) {
  ApiFixture api;
  write_repo(api, "models--org--smol");
  std::string const target = "/hub/api/models/org/smol/paths-info/main";
  for (std::string const body :
       {"paths=config.json&paths=model.safetensors&expand=false",
        R"({"paths":["config.json","model.safetensors"],"expand":false})"}) {
    auto const response = api.ask("POST", target, body);
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(json_of(response).as_array().size(), 2U);
  }
  EXPECT_EQ(api.ask("POST", target, R"({"paths":[1]})").status, 400);
}

}  // namespace
}  // namespace homelab::api
