#include <gtest/gtest.h>

#include <filesystem>

#include "embedded_files.h"
#include "error_status.h"
#include "fakes.h"
#include "json_text.h"
#include "route_table.h"

namespace homelab::api {
namespace {

using test::ApiFixture;

TEST(Page, is_served_with_an_etag_that_is_honoured) {
  ApiFixture api;
  auto const page = api.ask("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.find("content-type"), "text/html; charset=utf-8");
  std::string const etag(page.headers.find("etag").value());
  auto const again = api.ask("GET", "/", "", {{"if-none-match", etag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
}

TEST(Page, every_file_of_the_web_folder_is_built_in_byte_for_byte) {
  int files = 0;
  for (auto const& entry :
       std::filesystem::directory_iterator(std::string(HOMELAB_SOURCE_DIR) + "/web")) {
    if (!entry.is_regular_file()) continue;
    ++files;
    auto const built_in = embedded_file(entry.path().filename().string());
    ASSERT_TRUE(built_in) << entry.path();
    EXPECT_EQ(built_in->content, test::slurp(entry.path()));
  }
  EXPECT_GE(files, 4);
}

TEST(Page, runs_no_inline_script_and_loads_nothing_from_elsewhere) {
  for (std::string_view const name : {"index.html", "app.js", "api.js", "style.css"}) {
    auto const file = embedded_file(name);
    ASSERT_TRUE(file) << name;
    EXPECT_EQ(file->content.find("innerHTML"), std::string_view::npos) << name;
    EXPECT_EQ(file->content.find("https://"), std::string_view::npos) << name;
    EXPECT_EQ(file->content.find("<script>"), std::string_view::npos) << name;
  }
}

TEST(Page, answers_404_for_files_it_has_not) {
  ApiFixture api;
  EXPECT_EQ(api.ask("GET", "/static/none.js").status, 404);
  EXPECT_EQ(api.ask("GET", "/static/..%2Findex.html").status, 404);
}

/// A target that matches the path of a note.
std::string target_of(std::string_view path) {
  std::string out;
  for (char const c : path)
    if (c != '{' && c != '}') out += c;
  return out;
}

TEST(Docs, name_only_routes_that_exist_and_the_written_page_names_them_all) {
  ApiFixture api;
  std::string const written = test::slurp(std::string(HOMELAB_SOURCE_DIR) + "/docs/api.md");
  for (RouteNote const& note : route_table()) {
    EXPECT_NE(api.router.match(note.method, target_of(note.path)).handler, nullptr)
        << note.method << ' ' << note.path;
    std::string const heading = std::string(note.method) + " " + std::string(note.path);
    EXPECT_NE(written.find(heading), std::string::npos) << "docs/api.md lacks " << heading;
    EXPECT_NE(docs_html("1").find(std::string(note.path)), std::string::npos);
  }
}

TEST(Docs, openapi_names_every_path_and_the_version) {
  ApiFixture api;
  auto const document = test::json_of(api.ask("GET", "/openapi.json")).as_object();
  EXPECT_EQ(document.at("info").as_object().at("version").as_string(), "9.9.9");
  auto const& paths = document.at("paths").as_object();
  EXPECT_TRUE(paths.at("/api/models").as_object().contains("post"));
  EXPECT_TRUE(paths.at("/api/models").as_object().contains("get"));
  EXPECT_TRUE(paths.contains("/v1/models/{model}"));
}

TEST(Rules, unknown_paths_and_methods_get_the_shapes_of_the_contract) {
  ApiFixture api;
  auto response = api.ask("GET", "/nowhere");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, R"({"detail":"Not Found"})");
  response = api.ask("PUT", "/api/models/smol");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.body, R"({"detail":"Method Not Allowed"})");
  EXPECT_EQ(response.headers.find("allow"), "GET, DELETE");
  EXPECT_EQ(api.ask("HEAD", "/api/models").status, 405);
}

TEST(Rules, options_is_no_method_of_a_route) {
  ApiFixture api;
  EXPECT_EQ(api.ask("OPTIONS", "/api/models").status, 405);
}

TEST(ErrorStatus, has_a_row_for_every_code) {
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    int const status = http_status(static_cast<Code>(code));
    EXPECT_TRUE(status >= 400 && status < 600) << code;
  }
  EXPECT_EQ(http_status(Code::kNotFound), 404);
  EXPECT_EQ(http_status(Code::kResourceExhausted), 507);
  EXPECT_EQ(http_status(Code::kNotFound, Doing::kLoad), 500);
  EXPECT_EQ(http_status(Code::kFailedPrecondition, Doing::kGenerate), 503);
}

TEST(JsonText, writes_numbers_as_python_does) {
  json::array const numbers{0.7, 5000.0, 1e16, 1e-05, 100, -0.5, 1e300};
  EXPECT_EQ(to_json_text(numbers), "[0.7,5000.0,1e+16,1e-05,100,-0.5,1e+300]");
  EXPECT_EQ(to_json_text(json::value(std::numeric_limits<double>::infinity())), "null");
  EXPECT_EQ(to_json_text(json::object{{"\xc3\xa9\"", "\xc3\xa9\n"}}),
            "{\"\xc3\xa9\\\"\":\"\xc3\xa9\\n\"}");
  EXPECT_EQ(to_ascii_json_text(json::value("\xf0\x9f\x98\x80")), "\"\\ud83d\\ude00\"");
}

TEST(Explain, shows_the_chain_from_settings_to_files) {
  ApiFixture api;
  api.add_row("smol", "org/smol");
  auto const all = test::json_of(api.ask("GET", "/api/explain")).as_object();
  EXPECT_FALSE(all.at("settings").as_array().empty());
  EXPECT_TRUE(all.at("model").is_null());
  auto const one = test::json_of(api.ask("GET", "/api/explain?model=smol")).as_object();
  auto const& model = one.at("model").as_object();
  EXPECT_EQ(model.at("repo_folder").as_string(),
            (api.folder / "primary/hub/models--org--smol").string());
  EXPECT_FALSE(model.at("complete").as_bool());
  EXPECT_EQ(api.ask("GET", "/api/explain?model=none").status, 404);
}

TEST(CacheConfig, shows_the_five_effective_values) {
  ApiFixture api;
  auto const body = test::json_of(api.ask("GET", "/api/cache/config")).as_object();
  EXPECT_EQ(body.size(), 5U);
  EXPECT_EQ(body.at("primary_path").as_string(), (api.folder / "primary").string());
  EXPECT_DOUBLE_EQ(body.at("usage_warning_threshold").as_double(), 0.9);
}

}  // namespace
}  // namespace homelab::api
