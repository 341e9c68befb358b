#include <gtest/gtest.h>

#include <filesystem>

#include "base/os/file_lock.h"
#include "fakes.h"

namespace homelab::api {
namespace {

using test::ApiFixture;
using test::detail_of;
using test::json_of;

constexpr auto kCommit = "0123456789012345678901234567890123456789";

/// A repository as a download leaves it.
void write_repo(ApiFixture const& api, std::string const& hub, std::string const& folder) {
  std::string const root = hub + "/" + folder;
  api.folder.write(root + "/blobs/aaaa", std::string(2 << 20, 'x'));
  api.folder.write(root + "/refs/main", kCommit);
  std::filesystem::create_directories(api.folder / (root + "/snapshots/" + kCommit));
  std::filesystem::create_symlink("../../blobs/aaaa",
                                  api.folder / (root + "/snapshots/" + kCommit + "/model.gguf"));
}

TEST(Register, answers_201_with_the_model_and_its_configured_root) {
  ApiFixture api;
  auto const response =
      api.ask("POST", "/api/models", R"({"model_name":" smol ","hf_path":" org / smol "})");
  ASSERT_EQ(response.status, 201) << response.body;
  auto const model = json_of(response).as_object();
  EXPECT_EQ(model.at("model_name").as_string(), "smol");
  EXPECT_EQ(model.at("hf_path").as_string(), "org/smol");
  EXPECT_EQ(model.at("cache_path").as_string(), (api.folder / "primary").string());
  EXPECT_EQ(model.at("compatibility_status").as_string(), "unknown");
  EXPECT_EQ(model.at("total_loads").as_int64(), 0);
}

TEST(Register, shows_the_thirty_fields_in_order_and_then_the_versions) {
  ApiFixture api;
  api.add_row("a", "org/a");
  auto const model = json_of(api.ask("GET", "/api/models")).as_array().at(0).as_object();
  std::vector<std::string> keys;
  for (auto const& member : model) keys.emplace_back(member.key());
  std::vector<std::string> const expected{"id",
                                          "model_name",
                                          "hf_path",
                                          "trust_remote_code",
                                          "created_at",
                                          "cache_location",
                                          "cache_path",
                                          "model_size_mb",
                                          "parameter_count",
                                          "model_type",
                                          "architecture",
                                          "default_dtype",
                                          "context_length",
                                          "mmlu_score",
                                          "gpqa_score",
                                          "hellaswag_score",
                                          "humaneval_score",
                                          "mbpp_score",
                                          "math_score",
                                          "truthfulqa_score",
                                          "perplexity",
                                          "max_throughput_tokens_sec",
                                          "avg_latency_ms",
                                          "quantization",
                                          "total_loads",
                                          "total_inferences",
                                          "last_loaded",
                                          "load_config",
                                          "compatibility_status",
                                          "compatibility_notes",
                                          "current_commit",
                                          "current_version",
                                          "last_updated",
                                          "update_available",
                                          "last_update_check"};
  EXPECT_EQ(keys, expected);
}

TEST(Register, refuses_a_taken_name_before_it_looks_at_the_location) {
  ApiFixture api;
  api.add_row("smol", "org/a");
  auto const response = api.ask("POST", "/api/models",
                                R"({"model_name":"smol","hf_path":"b/c","cache_location":"moon"})");
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(detail_of(response).find("smol"), std::string::npos);
}

TEST(Register, refuses_an_unknown_location_and_custom_without_a_path) {
  ApiFixture api;
  auto response = api.ask("POST", "/api/models",
                          R"({"model_name":"m","hf_path":"b/c","cache_location":"moon"})");
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(detail_of(response).find("moon"), std::string::npos);
  response =
      api.ask("POST", "/api/models",
              R"({"model_name":"m","hf_path":"b/c","cache_location":"custom","cache_path":" "})");
  EXPECT_EQ(response.status, 400);
  EXPECT_TRUE(api.registry.rows.empty());
}

TEST(Register, stores_a_custom_path_trimmed_and_ignores_it_otherwise) {
  ApiFixture api;
  api.ask(
      "POST", "/api/models",
      R"({"model_name":"a","hf_path":"b/c","cache_location":"custom","cache_path":" /srv/x "})");
  api.ask(
      "POST", "/api/models",
      R"({"model_name":"b","hf_path":"b/c","cache_location":"secondary","cache_path":"/srv/x"})");
  ASSERT_EQ(api.registry.rows.size(), 2U);
  EXPECT_EQ(api.registry.rows[0].cache_path, "/srv/x");
  EXPECT_EQ(api.registry.rows[1].cache_path, (api.folder / "secondary").string());
}

TEST(Register, answers_507_when_the_quota_is_too_small) {
  ApiFixture api;
  auto const response = api.ask(
      "POST", "/api/models", R"({"model_name":"a","hf_path":"b/c","estimated_size_mb":104857600})");
  EXPECT_EQ(response.status, 507);
  EXPECT_NE(detail_of(response).find("102400.0 GB required"), std::string::npos) << response.body;
  EXPECT_NE(detail_of(response).find("primary"), std::string::npos);
}

TEST(Register, takes_null_and_zero_as_the_default_estimate_and_accepts_a_negative_one) {
  ApiFixture api;
  EXPECT_EQ(api.ask("POST", "/api/models",
                    R"({"model_name":"a","hf_path":"b/c","estimated_size_mb":null})")
                .status,
            201);
  EXPECT_EQ(
      api.ask("POST", "/api/models", R"({"model_name":"b","hf_path":"b/c","estimated_size_mb":-5})")
          .status,
      201);
}

TEST(Delete, removes_the_row_and_says_only_that) {
  ApiFixture api;
  api.add_row("Tiny qwen (King Nish)", "org/a");
  auto const response = api.ask("DELETE", "/api/models/%20Tiny%20qwen%20(King%20Nish)%20");
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(json_of(response).as_object().size(), 1U);
  EXPECT_TRUE(api.registry.rows.empty());
}

TEST(Delete, finds_a_name_with_an_encoded_slash) {
  ApiFixture api;
  api.add_row("org/a", "org/a");
  EXPECT_EQ(api.ask("DELETE", "/api/models/org%2Fa").status, 200);
}

TEST(Delete, refuses_the_loaded_model_and_an_unknown_one) {
  ApiFixture api;
  api.add_row("a", "org/a");
  api.engines.loaded_name = "a";
  EXPECT_EQ(api.ask("DELETE", "/api/models/a").status, 400);
  EXPECT_EQ(api.ask("DELETE", "/api/models/b").status, 404);
  EXPECT_EQ(api.ask("DELETE", "/api/models/a?delete_files=maybe").status, 422);
  EXPECT_EQ(api.registry.rows.size(), 1U);
}

TEST(Delete, with_files_removes_exactly_the_folder_and_reports_what_it_freed) {
  ApiFixture api;
  api.add_row("a", "org/a");
  write_repo(api, "primary/hub", "models--org--a");
  write_repo(api, "primary/hub", "models--org--ab");
  auto const body = json_of(api.ask("DELETE", "/api/models/a?delete_files=true")).as_object();
  EXPECT_NEAR(body.at("freed_space_mb").as_double(), 2.0, 0.01);
  EXPECT_EQ(body.at("deleted_path").as_string(),
            (api.folder / "primary/hub/models--org--a").string());
  EXPECT_FALSE(std::filesystem::exists(api.folder / "primary/hub/models--org--a"));
  EXPECT_TRUE(std::filesystem::exists(api.folder / "primary/hub/models--org--ab/blobs/aaaa"));
}

TEST(Delete, finds_files_in_the_layout_of_a_cache_dir_as_well) {
  ApiFixture api;
  api.add_row("a", "org/a");
  std::filesystem::create_directories(api.folder / "primary/hub");
  write_repo(api, "primary", "models--org--a");
  auto const body = json_of(api.ask("DELETE", "/api/models/a?delete_files=true")).as_object();
  EXPECT_TRUE(body.contains("freed_space_mb")) << json::serialize(body);
  EXPECT_FALSE(std::filesystem::exists(api.folder / "primary/models--org--a"));
}

TEST(Delete, keeps_files_that_another_row_uses) {
  ApiFixture api;
  api.add_row("a", "org/a");
  api.add_row("b", "org/a:Q4_K_M");
  write_repo(api, "primary/hub", "models--org--a");
  auto const body = json_of(api.ask("DELETE", "/api/models/a?delete_files=true")).as_object();
  EXPECT_TRUE(body.contains("warning"));
  EXPECT_FALSE(body.contains("freed_space_mb"));
  EXPECT_TRUE(std::filesystem::exists(api.folder / "primary/hub/models--org--a/blobs/aaaa"));
}

TEST(Delete, keeps_files_that_another_row_names_by_their_path) {
  ApiFixture api;
  api.add_row("a", "org/a");
  write_repo(api, "primary/hub", "models--org--a");
  auto const repo = api.folder / "primary/hub/models--org--a";
  api.add_row("b", (repo / "snapshots" / kCommit / "model.gguf").string());
  auto const body = json_of(api.ask("DELETE", "/api/models/a?delete_files=true")).as_object();
  EXPECT_TRUE(body.contains("warning")) << json::serialize(body);
  EXPECT_TRUE(std::filesystem::exists(repo / "blobs/aaaa"));
}

TEST(Delete, touches_nothing_while_somebody_holds_a_lock_of_the_repository) {
  ApiFixture api;
  api.add_row("a", "org/a");
  write_repo(api, "primary/hub", "models--org--a");
  auto const locks = api.folder / "primary/hub/.locks/models--org--a";
  std::filesystem::create_directories(locks);
  auto lock = os::FileLock::try_take(locks / "aaaa.lock");
  ASSERT_TRUE(lock && *lock);
  auto const body = json_of(api.ask("DELETE", "/api/models/a?delete_files=true")).as_object();
  EXPECT_TRUE(body.contains("error")) << json::serialize(body);
  EXPECT_TRUE(std::filesystem::exists(api.folder / "primary/hub/models--org--a/refs/main"));
}

TEST(Delete, warns_with_the_path_when_there_is_nothing_to_delete) {
  ApiFixture api;
  api.add_row("a", "org/a");
  auto const body = json_of(api.ask("DELETE", "/api/models/a?delete_files=true")).as_object();
  EXPECT_NE(std::string(body.at("warning").as_string()).find("models--org--a"), std::string::npos);
}

TEST(Delete, never_touches_a_local_folder) {
  ApiFixture api;
  api.folder.write("mine/model.gguf", "x");
  api.add_row("a", (api.folder / "mine").string());
  auto const body = json_of(api.ask("DELETE", "/api/models/a?delete_files=true")).as_object();
  EXPECT_TRUE(body.contains("warning"));
  EXPECT_TRUE(std::filesystem::exists(api.folder / "mine/model.gguf"));
}

TEST(Delete, does_not_follow_links_out_of_the_repository) {
  ApiFixture api;
  api.add_row("a", "org/a");
  write_repo(api, "primary/hub", "models--org--a");
  api.folder.write("elsewhere/precious", "x");
  std::filesystem::create_directory_symlink(api.folder / "elsewhere",
                                            api.folder / "primary/hub/models--org--a/blobs/link");
  EXPECT_TRUE(json_of(api.ask("DELETE", "/api/models/a?delete_files=true"))
                  .as_object()
                  .contains("freed_space_mb"));
  EXPECT_TRUE(std::filesystem::exists(api.folder / "elsewhere/precious"));
}

}  // namespace
}  // namespace homelab::api
