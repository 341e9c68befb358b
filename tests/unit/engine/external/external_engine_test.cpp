#include "engine/external_engine.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "external/base_url.h"
#include "external/external_command.h"
#include "external/placeholders.h"
#include "support/temp_dir.h"

namespace homelab::engine {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

std::string url(std::string const& text) {
  auto const parsed = parse_base_url(text);
  return parsed ? *parsed : "refused: " + parsed.error().message;
}

TEST(BaseUrl, EndsBeforeV1HoweverItIsWritten) {
  for (std::string const text : {"http://nas:8080", "http://nas:8080/", "http://nas:8080/v1",
                                 " http://nas:8080/v1/ ", "HTTP://nas:8080"})
    EXPECT_EQ(url(text), "http://nas:8080") << text;
  EXPECT_EQ(url("https://openrouter.example/api/v1"), "https://openrouter.example/api");
  EXPECT_EQ(url("http://[::1]:8080"), "http://[::1]:8080");
}

TEST(BaseUrl, RefusesWhatIsNoPlainHttpAddress) {
  for (std::string const text :
       {"nas:8080", "ftp://nas", "file:///etc/passwd", "http://", "http:///v1", "http://nas:99999",
        "http://nas:x", "http://nas/?a=b", "http://nas/#a", "http://nas /", "http://n\nas", ""})
    EXPECT_THAT(url(text), HasSubstr("refused")) << text;
}

TEST(BaseUrl, NeverRepeatsAPassword) {
  EXPECT_THAT(url("http://me:secret@nas"),
              AllOf(HasSubstr("api_key_env"), Not(HasSubstr("secret"))));
  EXPECT_THAT(url("nas://me:secret@nas"), AllOf(HasSubstr("refused"), Not(HasSubstr("secret"))));
}

TEST(BaseUrl, KnowsTheLoopback) {
  for (std::string const text : {"http://127.0.0.1:1", "http://localhost", "http://[::1]:8080/x"})
    EXPECT_TRUE(is_loopback(text)) << text;
  for (std::string const text : {"http://nas", "http://10.0.0.127", "https://localhost.example"})
    EXPECT_FALSE(is_loopback(text)) << text;
}

TEST(Placeholders, OnlyLowerCaseWordsInBracesAreSome) {
  EXPECT_THAT(placeholders_in("--x={model} {port}"), ElementsAre("model", "port"));
  EXPECT_THAT(placeholders_in(R"({"a":1} {} {A} {1} {)"), ElementsAre());
  EXPECT_THAT(placeholders_in(R"({"model":"{model}"})"), ElementsAre("model"));
  EXPECT_TRUE(check_placeholders(R"({"a": {"b": 1}} {snapshot})"));
  EXPECT_THAT(check_placeholders("{modell}").error().message,
              AllOf(HasSubstr("{modell}"), HasSubstr("{model}")));
}

TEST(Placeholders, AreFilledInOnce) {
  Words const words{{"model", "org/{port}"}, {"port", "81"}};
  EXPECT_EQ(*fill_in("--served={model}:{port}", words), "--served=org/{port}:81");
  EXPECT_EQ(*fill_in(R"({"model":"{model}"})", words), R"({"model":"org/{port}"})");
  EXPECT_THAT(fill_in("{file}", words).error().message, HasSubstr("{file}"));
}

TEST(Placeholders, AValueCannotBecomeAnOption) {
  Words const words{{"name", "--trust-remote-code"}};
  EXPECT_THAT(fill_in("{name}", words).error().message, HasSubstr("option"));
  EXPECT_EQ(*fill_in("--name={name}", words), "--name=--trust-remote-code");
}

std::string refusal(std::string const& file) {
  auto const engines = parse_external_engines(file);
  return engines ? "" : engines.error().message;
}

TEST(EnginesFile, HasCommandsAndServers) {
  auto const engines = parse_external_engines(R"({
    "vllm": {"command": ["vllm", "serve", "{model}", "--port", "{port}"], "env": {"A": "{threads}"},
             "health": "/ping", "model": "{model}", "memory_bytes": 1000, "threads": 2,
             "silence_s": 5, "download": false},
    "nas": {"url": "http://nas:8080/v1", "api_key_env": "NAS_KEY", "model": "big"}})");
  ASSERT_TRUE(engines) << engines.error().message;
  auto const& vllm = engines->at("vllm");
  EXPECT_EQ(vllm.name, "vllm");
  EXPECT_THAT(vllm.command, ElementsAre("vllm", "serve", "{model}", "--port", "{port}"));
  EXPECT_THAT(vllm.environment, ElementsAre(Pair("A", "{threads}")));
  EXPECT_EQ(vllm.health, "/ping");
  EXPECT_EQ(vllm.memory_bytes, 1000U);
  EXPECT_EQ(vllm.threads, 2U);
  EXPECT_EQ(vllm.silence, std::chrono::seconds(5));
  EXPECT_FALSE(vllm.download);
  auto const& nas = engines->at("nas");
  EXPECT_EQ(nas.url, "http://nas:8080");
  EXPECT_EQ(nas.api_key_variable, "NAS_KEY");
  EXPECT_TRUE(nas.command.empty());
}

TEST(EnginesFile, SaysWhichEngineAndKeyIsWrong) {
  EXPECT_THAT(refusal("[]"), HasSubstr("JSON object"));
  EXPECT_THAT(refusal(R"({"a b": {"url": "http://nas"}})"), HasSubstr("a b"));
  EXPECT_THAT(refusal(R"({"x": {}})"), AllOf(HasSubstr("engine 'x'"), HasSubstr("\"command\"")));
  EXPECT_THAT(refusal(R"({"x": {"url": "http://a", "command": ["a", "{port}"]}})"),
              HasSubstr("either"));
  EXPECT_THAT(refusal(R"({"x": {"command": "vllm serve"}})"), HasSubstr("list of arguments"));
  EXPECT_THAT(refusal(R"({"x": {"command": ["vllm"]}})"), HasSubstr("{port}"));
  EXPECT_EQ(refusal(R"({"x": {"command": ["vllm"], "port": 8000}})"), "");
  EXPECT_THAT(refusal(R"({"x": {"command": ["vllm", "{prt}"]}})"), HasSubstr("{prt}"));
  EXPECT_THAT(refusal(R"({"x": {"command": ["bin/vllm", "{port}"]}})"), HasSubstr("PATH"));
  EXPECT_THAT(refusal(R"({"x": {"command": ["{model}", "{port}"]}})"), HasSubstr("PATH"));
  EXPECT_THAT(refusal(R"({"x": {"url": "http://a", "port": 1}})"), HasSubstr("'port'"));
  EXPECT_THAT(refusal(R"({"x": {"url": "http://a", "api_key_env": "sk-12"}})"),
              HasSubstr("environment variable"));
  EXPECT_THAT(refusal(R"({"x": {"url": "http://a", "heath": "/"}})"),
              AllOf(HasSubstr("heath"), HasSubstr("health")));
  EXPECT_THAT(refusal(R"({"x": {"url": "http://a", "health": "x"}})"), HasSubstr("'/'"));
}

TEST(EnginesFile, IsRefusedWhenEverybodyMayWriteIt) {
  test::TempDir const folder;
  auto const file = folder.write("engines.json", R"({"nas": {"url": "http://nas"}})");
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  EXPECT_TRUE(read_external_engines(file));
  ASSERT_EQ(::chmod(file.c_str(), 0646), 0);
  auto const refused = read_external_engines(file);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
  EXPECT_THAT(refused.error().message, HasSubstr("chmod o-w"));
  EXPECT_EQ(read_external_engines(folder / "none.json").error().code, Code::kNotFound);
}

Result<EngineChoice> choice(std::string const& text) {
  return parse_engine_choice(*parse_json(text));
}

TEST(EngineChoice, IsANameOrAUrl) {
  EXPECT_EQ(choice(R"("vllm")")->name, "vllm");
  EXPECT_EQ(choice(R"({"name": "vllm", "model": "m"})")->model, "m");
  EXPECT_EQ(choice(R"({"url": "http://nas/v1"})")->url, "http://nas");
  for (std::string const text : {"1", "{}", R"({"name": "a", "url": "http://b"})", R"("")",
                                 R"({"url": "http://u:p@nas"})", R"({"model": "m"})"})
    EXPECT_FALSE(choice(text)) << text;
}

TEST(EngineChoice, NeverHoldsACommandOrAKey) {
  for (std::string const text :
       {R"({"url": "http://nas", "command": ["rm"]})", R"({"command": ["rm"]})",
        R"({"url": "http://nas", "api_key_env": "HF_TOKEN"})", R"({"name": "x", "env": {}})"})
    EXPECT_THAT(choice(text).error().message, HasSubstr("engines file only")) << text;
}

TEST(EngineChoice, IsReadOutOfARow) {
  EXPECT_EQ(engine_choice_of(std::nullopt), std::nullopt);
  EXPECT_EQ(engine_choice_of("{\"context\": 4096}"), std::nullopt);
  EXPECT_EQ(engine_choice_of("no JSON"), std::nullopt);
  EXPECT_EQ(engine_choice_of(R"({"engine": "vllm"})")->name, "vllm");
}

TEST(EngineChoice, MeansAnEngineOfTheFile) {
  auto const known = *parse_external_engines(R"({"nas": {"url": "http://nas", "model": "a"}})");
  EXPECT_EQ(choose_engine(known, {"nas", "", ""})->model, "a");
  EXPECT_EQ(choose_engine(known, {"nas", "", "b"})->model, "b");
  EXPECT_EQ(choose_engine(known, {"", "http://other", ""})->url, "http://other");
  auto const unknown = choose_engine(known, {"vllm", "", ""});
  EXPECT_EQ(unknown.error().code, Code::kNotFound);
  EXPECT_THAT(unknown.error().message, AllOf(HasSubstr("vllm"), HasSubstr("nas")));
}

TEST(ExternalCommand, IsFilledInArgumentByArgument) {
  ExternalEngine engine;
  engine.command = {"run", "{model} $(x)", "--port={port}"};
  engine.environment = {{"T", "{threads}"}};
  engine.model = "{name}";
  auto const command =
      fill_in_command(engine, {{"model", "a b"}, {"port", "1"}, {"threads", "3"}, {"name", "n"}});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->program, "run");
  EXPECT_THAT(command->arguments, ElementsAre("a b $(x)", "--port=1"));
  EXPECT_THAT(command->environment, ElementsAre(Pair("T", "3")));
  EXPECT_EQ(command->model, "n");
}

TEST(ExternalCommand, AFreePortIsNotTaken) {
  auto const port = free_port();
  ASSERT_TRUE(port);
  EXPECT_GT(*port, 0);
  EXPECT_FALSE(is_taken(*port));
}

}  // namespace
}  // namespace homelab::engine
