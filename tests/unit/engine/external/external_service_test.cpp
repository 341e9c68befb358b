// External engines in the service: a real server inside the test, a real program with a real group.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "../service_fixture.h"
#include "external/child_group.h"
#include "external/external_command.h"
#include "support/openai_server/server.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::OpenAiServer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Behaviour = OpenAiServer::Behaviour;

class ExternalTest : public ServiceTest {
 protected:
  void SetUp() override {
    options_.health_interval = milliseconds(20);
    ServiceTest::SetUp();
  }
  void TearDown() override {
    ServiceTest::TearDown();
    server_.reset();
  }

  void serve(Behaviour behaviour = {}) {
    server_ = std::make_unique<OpenAiServer>(std::move(behaviour), 0);
  }
  /// A registered model that the server has.
  void add_remote(std::string const& name, std::string const& hf_path,
                  std::string const& model = "") {
    add_row(
        name, hf_path,
        {{"url", server_->url()}, {"model", model.empty() ? json::value() : json::value(model)}});
  }
  void add_row(std::string const& name, std::string const& hf_path, json::value const& engine) {
    registry::NewModel model;
    model.model_name = name;
    model.hf_path = hf_path;
    model.load_config = json::serialize(json::object{{"engine", engine}});
    auto const added = registry_->add(model);
    ASSERT_TRUE(added) << added.error().message;
  }
  /// The engines file, and a new service that has it.
  void use_engines(std::string const& file) {
    auto engines = parse_external_engines(file);
    ASSERT_TRUE(engines) << engines.error().message;
    options_.external = *std::move(engines);
    start_service();
  }
  /// An engine "prog": our test server with these flags besides its port.
  void use_program(std::vector<std::string> const& flags, json::object more = {}) {
    json::array command{OPENAI_SERVER, "--port", "{port}"};
    for (auto const& flag : flags) command.emplace_back(flag);
    more["command"] = std::move(command);
    use_engines(json::serialize(json::object{{"prog", std::move(more)}}));
  }
  /// The model "m", a file of ours that engine "prog" is started for.
  void add_for_program() {
    auto const file = folder_.write("models/m.gguf", "12345");
    add_row("m", file.string(), "prog");
  }
  Listener::Heard ask(std::string const& prompt, std::string const& model = "m") {
    GenerateRequest request;
    request.prompt = prompt;
    request.model = model;
    return generate(std::move(request));
  }
  /// Loads "m", asks it something that is answered with one word, and waits for that.
  std::shared_ptr<Listener> ask_without_end() {
    EXPECT_TRUE(load("m"));
    auto listener = std::make_shared<Listener>();
    GenerateRequest request;
    request.prompt = "wait";
    running_ = service_->generate(std::move(request), listener->callbacks());
    listener->wait_for_texts(1);
    return listener;
  }
  std::string log_text() {
    std::string out;
    for (auto const& entry : std::filesystem::directory_iterator(options_.runtime_folder))
      if (entry.path().extension() == ".log") out += test::slurp(entry.path());
    return out;
  }

  std::unique_ptr<OpenAiServer> server_;
  std::shared_ptr<Running> running_;
};

// ---- A server that runs already ----

TEST_F(ExternalTest, AServerIsLoadedUsedAndForgotten) {
  serve();
  add_remote("m", "remote-model");
  auto const model = load("m");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->total_loads, 1);
  auto const loaded = service_->loaded();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->device, "external");
  EXPECT_EQ(loaded->url, server_->url());
  EXPECT_EQ(loaded->pid, 0);
  EXPECT_EQ(loaded->resident_bytes, 0U);
  EXPECT_EQ(downloader_.calls(), 0);
  auto const heard = ask("Hello");
  ASSERT_TRUE(*heard.result) << heard.result->error().message;
  EXPECT_EQ(heard.text, "one two three");
  EXPECT_EQ((*heard.result)->input_tokens, 7);
  EXPECT_EQ((*heard.result)->output_tokens, 5);
  EXPECT_TRUE((*heard.result)->ttft_ms.has_value());
  EXPECT_EQ(unload("m"), "m");
  EXPECT_FALSE(service_->loaded());
}

TEST_F(ExternalTest, ARequestLoadsItAndIsRecordedWithItsRow) {
  serve();
  add_remote("m", "remote-model");
  ASSERT_TRUE(*ask("Hello").result);
  registry_->flush();
  auto const rows = registry_->recent_performance(row("m").id, 10);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ(rows->front().input_tokens, 7);
  EXPECT_EQ(rows->front().output_tokens, 5);
  EXPECT_EQ(rows->front().model_device, "external");
  EXPECT_EQ(rows->front().top_k, std::nullopt);
  EXPECT_EQ(row("m").total_inferences, 1);
}

TEST_F(ExternalTest, PassingThroughPutsTheNameThereInAndOurOwnFieldOut) {
  serve({.models = {"a", "big"}});
  add_remote("m", "whatever", "big");
  EXPECT_EQ(forward("POST", "/v1/chat/completions",
                    R"({"model":"m","keep_alive":5,"messages":[1.0]})", "m"),
            R"({"model":"big","messages":[1.0]})");
}

TEST_F(ExternalTest, TokensAreCountedByPiecesWhenTheServerDoesNotCount) {
  serve({.usage = false, .done_mark = false});
  add_remote("m", "remote-model");
  auto const heard = ask("Hello");
  ASSERT_TRUE(*heard.result) << heard.result->error().message;
  EXPECT_EQ((*heard.result)->output_tokens, 3);
  EXPECT_EQ((*heard.result)->input_tokens, 0);
}

TEST_F(ExternalTest, TheOnlyModelOfAServerNeedsNoName) {
  serve({.models = {"/models/some.gguf"}});
  add_remote("m", "org/name");
  ASSERT_TRUE(load("m"));
  ASSERT_TRUE(*ask("Hello").result);
  EXPECT_THAT(server_->bodies().back(), HasSubstr("some.gguf"));
}

TEST_F(ExternalTest, AServerWithoutAListIsBelieved) {
  serve({.has_list = false});
  add_remote("m", "org/name");
  ASSERT_TRUE(*ask("Hello").result);
  EXPECT_THAT(server_->bodies().back(), HasSubstr("org/name"));
}

TEST_F(ExternalTest, AWrongNameIsRefusedWithTheNamesThereAre) {
  serve({.models = {"small", "large"}});
  add_remote("m", "org/name", "medium");
  auto const model = load("m");
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message,
              AllOf(HasSubstr("medium"), HasSubstr("small, large"), HasSubstr(server_->url())));
  EXPECT_EQ(row("m").compatibility_status, "unknown") << "it says nothing about the model";
}

TEST_F(ExternalTest, AServerThatIsDownIsAFailedLoadAndIsUsedWhenItIsBack) {
  serve();
  int const port = server_->port();
  add_remote("m", "remote-model");
  server_.reset();
  auto const model = load("m");
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr(std::to_string(port)));
  EXPECT_EQ(row("m").compatibility_status, "unknown");
  EXPECT_GT(service_->retry_after("m").count(), 0);
  server_ = std::make_unique<OpenAiServer>(Behaviour{}, port);
  ASSERT_TRUE(load("m")) << "an explicit load does not wait";
  ASSERT_TRUE(*ask("Hello").result);
}

TEST_F(ExternalTest, AServerThatGoesAwayIsNoticedWithoutARequest) {
  serve();
  add_remote("m", "remote-model");
  ASSERT_TRUE(load("m"));
  eventually([&] { return server_->health_checks() > 2; }, "health is asked again and again");
  std::string const url = server_->url();
  server_.reset();
  eventually([&] { return !service_->loaded(); }, "the lost model is not loaded any more");
  auto const heard = ask("Hello", "");
  EXPECT_THAT(heard.result->error().message, AllOf(HasSubstr(url), HasSubstr("does not answer")));
  EXPECT_GT(service_->retry_after("m").count(), 0);
}

TEST_F(ExternalTest, AServerThatSaysItIsIllIsLost) {
  serve();
  add_remote("m", "remote-model");
  ASSERT_TRUE(load("m"));
  server_->set_health(503);
  eventually([&] { return !service_->loaded(); }, "the ill model is not loaded any more");
}

TEST_F(ExternalTest, AConnectionThatBreaksInAStreamEndsTheRequestWithTheReason) {
  serve();
  add_remote("m", "remote-model");
  auto const listener = ask_without_end();
  server_->break_open_answers();
  auto const heard = listener->wait();
  EXPECT_EQ(heard.text, "one ");
  ASSERT_FALSE(*heard.result);
  EXPECT_THAT(heard.result->error().message, HasSubstr("the connection to the engine broke"));
  ASSERT_TRUE(*ask("Hello").result) << "the server is still there";
}

TEST_F(ExternalTest, WhoLeavesStopsTheServersWork) {
  serve();
  add_remote("m", "remote-model");
  auto const listener = ask_without_end();
  running_->cancel();
  EXPECT_EQ(listener->wait().result->error().code, Code::kCancelled);
  eventually([&] { return server_->clients_gone() == 1; }, "the server hears that nobody listens");
}

TEST_F(ExternalTest, UnloadEndsWhatRunsOnIt) {
  serve();
  add_remote("m", "remote-model");
  auto const listener = ask_without_end();
  ASSERT_TRUE(unload());
  EXPECT_THAT(listener->wait().result->error().message, HasSubstr("was unloaded"));
}

TEST_F(ExternalTest, AnErrorOfTheServerIsPassedOn) {
  serve({.completion_status = 400});
  add_remote("m", "remote-model");
  EXPECT_EQ(ask("Hello").result->error().message, "that does not go");
}

TEST_F(ExternalTest, AKeyComesFromTheVariableThatTheFileNames) {
  serve({.key = "sesame"});
  ASSERT_EQ(::setenv("EXTERNAL_TEST_KEY", "sesame", 1), 0);
  use_engines(fmt::format(R"({{"nas": {{"url": "{0}", "api_key_env": "EXTERNAL_TEST_KEY"}},
                              "none": {{"url": "{0}"}},
                              "unset": {{"url": "{0}", "api_key_env": "EXTERNAL_TEST_NO_KEY"}}}})",
                          server_->url()));
  add_row("m", "remote-model", "nas");
  add_row("n", "remote-model", "none");
  add_row("u", "remote-model", "unset");
  EXPECT_TRUE(load("m"));
  EXPECT_THAT(load("n").error().message, AllOf(HasSubstr("without a key"), HasSubstr("401")));
  EXPECT_THAT(load("u").error().message, HasSubstr("EXTERNAL_TEST_NO_KEY"));
}

TEST_F(ExternalTest, TwoExternalAndOneOfOursAreLoadedBesideEachOther) {
  serve({.models = {"a", "b"}});
  options_.max_loaded = 3;
  start_service();
  add_remote("m", "a");
  add_remote("n", "b");
  add_local("ours");
  for (auto const* name : {"m", "n", "ours"}) ASSERT_TRUE(load_beside(name));
  ASSERT_TRUE(*ask("Hello", "n").result);
  EXPECT_THAT(server_->bodies().back(), HasSubstr("\"b\""));
  ASSERT_TRUE(*ask("Hello", "ours").result);
  EXPECT_EQ(service_->all_loaded().size(), 3U);
}

TEST_F(ExternalTest, ValidateAsksTheServer) {
  serve();
  add_remote("m", "remote-model");
  ASSERT_TRUE(load("m"));
  auto const outcome = validate();
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->healthy) << outcome->error;
}

TEST_F(ExternalTest, AnEngineThatTheFileDoesNotHaveIsAFailedLoad) {
  add_row("m", "org/name", "vllm");
  EXPECT_THAT(load("m").error().message, HasSubstr("no engine 'vllm'"));
}

TEST_F(ExternalTest, KeysForOurOwnEngineAreRefusedBesideIt) {
  serve();
  add_remote("m", "remote-model");
  set_load_config("m", R"({"engine": {"url": "http://nas"}, "quantize": "Q8_0"})");
  EXPECT_THAT(load("m").error().message, HasSubstr("'quantize'"));
}

// ---- A command ----

TEST_F(ExternalTest, ACommandIsStartedUsedAndStopped) {
  use_program({"--model", "{name}", "--say", "file {file} context {context}"});
  add_for_program();
  auto const model = load("m");
  ASSERT_TRUE(model) << model.error().message;
  auto const loaded = service_->loaded();
  ASSERT_TRUE(loaded);
  EXPECT_GT(loaded->pid, 0);
  EXPECT_GT(loaded->resident_bytes, 0U);
  EXPECT_EQ(loaded->engine, "prog");
  EXPECT_THAT(loaded->url, HasSubstr("http://127.0.0.1:"));
  EXPECT_EQ(ask("Hello").text, "one two three");
  int const pid = loaded->pid;
  ASSERT_TRUE(unload());
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_THAT(log_text(), AllOf(HasSubstr("models/m.gguf"), HasSubstr("context 8192")));
}

TEST_F(ExternalTest, ACommandSharesTheCacheOfItsModelsLocation) {
  options_.hub_environment = {{"HF_HUB_OFFLINE", "1"}};
  use_program(
      {"--say", "{model} {revision} {snapshot}", "--environment", "HF_HOME", "--environment",
       "HF_HUB_CACHE", "--environment", "HF_HUB_OFFLINE", "--environment", "OWN"},
      {{"env", {{"OWN", "{threads}"}}}, {"threads", 2}});
  auto const snapshot = folder_ / "cache/hub/models--org--tiny/snapshots" / std::string(40, 'c');
  downloader_.serve("org/tiny", snapshot);
  add_row("m", "org/tiny:Q4_1", "prog");
  auto const model = load("m");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->current_commit, std::string(40, 'c'));
  EXPECT_EQ(downloader_.calls(), 1);
  auto const cache = (folder_ / "cache").string();
  EXPECT_THAT(
      log_text(),
      AllOf(HasSubstr("HF_HOME=" + cache + "\n"), HasSubstr("HF_HUB_CACHE=" + cache + "/hub\n"),
            HasSubstr("HF_HUB_OFFLINE=1\n"), HasSubstr("OWN=2\n"),
            HasSubstr("org/tiny " + std::string(40, 'c') + " " + snapshot.string() + "\n")));
}

TEST_F(ExternalTest, ACommandMayFetchTheFilesItself) {
  use_program({"--say", "{model}"}, {{"download", false}});
  add_row("m", "org/tiny", "prog");
  ASSERT_TRUE(load("m"));
  EXPECT_EQ(downloader_.calls(), 0);
  EXPECT_THAT(log_text(), HasSubstr("org/tiny\n"));
}

TEST_F(ExternalTest, ACommandThatDoesNotExistIsSaid) {
  use_engines(R"({"prog": {"command": ["no-such-program-here", "{port}"]}})");
  add_for_program();
  EXPECT_THAT(load("m").error().message,
              AllOf(HasSubstr("no-such-program-here"), HasSubstr("PATH")));
  EXPECT_EQ(row("m").compatibility_status, "unknown");
}

TEST_F(ExternalTest, ACommandThatEndsAtOnceShowsItsLastLines) {
  use_program({"--say", "no card is left", "--exit", "3"});
  add_for_program();
  EXPECT_THAT(load("m").error().message, AllOf(HasSubstr("engine 'prog'"), HasSubstr("exit code 3"),
                                               HasSubstr("no card is left")));
  EXPECT_EQ(row("m").compatibility_status, "unknown");
}

TEST_F(ExternalTest, ASlowStartIsWaitedForWhileItSaysSomething) {
  use_program({"--lines", "75"}, {{"silence_s", 1}});
  add_for_program();
  ASSERT_TRUE(load("m"));
}

TEST_F(ExternalTest, ACommandThatNeverGetsReadyIsGivenUpWithItsLastLines) {
  use_program({"--say", "waiting for a card", "--health", "503"}, {{"silence_s", 1}});
  add_for_program();
  EXPECT_THAT(load("m").error().message,
              AllOf(HasSubstr("no sign of life for 1 s"), HasSubstr("waiting for a card")));
}

TEST_F(ExternalTest, ALoadCanBeCancelledWhileTheCommandStarts) {
  use_program({"--health", "503"});
  add_for_program();
  auto loading = load_later("m");
  eventually([&] { return !service_->jobs().empty() && service_->jobs()[0].state == "starting"; },
             "the load has begun");
  ASSERT_TRUE(unload("m"));
  EXPECT_EQ(loading.get().error().code, Code::kCancelled);
}

TEST_F(ExternalTest, ACommandThatDiesInAStreamEndsTheRequestWithItsLastWords) {
  use_program({"--say", "all is well"});
  add_for_program();
  auto const listener = ask_without_end();
  ASSERT_EQ(::kill(service_->loaded()->pid, SIGKILL), 0);
  auto const heard = listener->wait();
  EXPECT_EQ(heard.text, "one ");
  EXPECT_THAT(heard.result->error().message,
              AllOf(HasSubstr("engine 'prog'"), HasSubstr("signal 9"), HasSubstr("all is well")));
  EXPECT_FALSE(service_->loaded());
  eventually([&] { return service_->retry_after("m").count() > 0; }, "the model rests");
}

TEST_F(ExternalTest, AWholeGroupEndsWithItsFirstProcess) {
  options_.stop_grace = seconds(1);
  use_program({"--child", "--stubborn"});
  add_for_program();
  ASSERT_TRUE(load("m"));
  int const pid = service_->loaded()->pid;
  auto const text = log_text();
  int const child = std::stoi(text.substr(text.find("child ") + 6));
  ASSERT_EQ(::kill(child, 0), 0);
  EXPECT_EQ(::getpgid(child), pid);
  ASSERT_TRUE(unload());
  EXPECT_NE(::kill(pid, 0), 0);
  // It was killed with the group; whoever inherits orphans here may still have to reap it.
  eventually([&] { return group_memory(pid).total() == 0; }, "nothing of the group is in memory");
}

TEST_F(ExternalTest, AProgramThatStopsAnsweringIsEndedAndSaid) {
  use_program({"--say", "all is well", "--ill-after", "3"});
  add_for_program();
  ASSERT_TRUE(load("m"));
  int const pid = service_->loaded()->pid;
  eventually([&] { return !service_->loaded(); }, "the ill program is not loaded any more");
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_THAT(ask("Hello", "").result->error().message,
              AllOf(HasSubstr("does not answer"), HasSubstr("all is well")));
}

TEST_F(ExternalTest, APortThatIsTakenIsSaid) {
  serve();
  use_engines(fmt::format(R"({{"prog": {{"command": ["{}", "--port", "{}"], "port": {}}}}})",
                          OPENAI_SERVER, server_->port(), server_->port()));
  add_for_program();
  EXPECT_THAT(load("m").error().message, AllOf(HasSubstr("port"), HasSubstr("is taken")));
}

TEST_F(ExternalTest, AValueThatWouldBeAnOptionIsRefused) {
  use_program({"{name}"});
  auto const file = folder_.write("models/m.gguf", "1");
  add_row("--exit", file.string(), "prog");
  EXPECT_THAT(load("--exit").error().message, HasSubstr("option"));
}

TEST_F(ExternalTest, MemoryThatTheFileNamesIsAskedForBeforeTheStart) {
  options_.free_memory = [] { return std::uint64_t{1} << 20U; };
  use_program({}, {{"memory_bytes", 1 << 30}});
  add_for_program();
  EXPECT_THAT(load("m").error().message, HasSubstr("needs about 1.1 GB"));
  EXPECT_TRUE(load("m", true)) << "unless it is forced";
}

}  // namespace
}  // namespace homelab::engine
