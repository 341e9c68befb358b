#include <gmock/gmock.h>
#include <signal.h>

#include "service_fixture.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class GenerateTest : public ServiceTest {
 protected:
  void load_with(std::string const& flags) {
    add_local("tiny", flags);
    auto const model = load("tiny");
    ASSERT_TRUE(model) << model.error().message;
  }
  std::vector<registry::PerformanceRow> rows() {
    registry_->flush();
    auto const found = registry_->recent_performance(row("tiny").id, 10);
    return found ? *found : std::vector<registry::PerformanceRow>();
  }
};

TEST_F(GenerateTest, StreamsTextAndCounts) {
  load_with("");
  auto const heard = generate({.prompt = "one two three", .max_tokens = 4});
  ASSERT_TRUE(*heard.result) << heard.result->error().message;
  EXPECT_EQ(heard.input_tokens, 3);
  EXPECT_EQ(heard.text, "w0 w1 w2 w3");
  EXPECT_EQ(heard.texts, 4);
  EXPECT_EQ((*heard.result)->input_tokens, 3);
  EXPECT_EQ((*heard.result)->output_tokens, 4);
  ASSERT_TRUE((*heard.result)->ttft_ms);
  EXPECT_GT(*(*heard.result)->ttft_ms, 0);
  EXPECT_GE((*heard.result)->inference_ms, *(*heard.result)->ttft_ms);
}

TEST_F(GenerateTest, TheEndTokenIsCountedButHasNoText) {
  load_with("--stop-at 3");
  auto const heard = generate({.prompt = "a", .max_tokens = 10});
  ASSERT_TRUE(*heard.result);
  EXPECT_EQ(heard.text, "w0 w1");
  EXPECT_EQ(heard.texts, 2);
  EXPECT_EQ((*heard.result)->output_tokens, 3);
}

TEST_F(GenerateTest, WithoutAModelItSaysWhereToLoadOne) {
  auto const heard = generate({.prompt = "x"});
  ASSERT_FALSE(*heard.result);
  EXPECT_EQ(heard.result->error().code, Code::kFailedPrecondition);
  EXPECT_THAT(heard.result->error().message, HasSubstr("/api/orchestrate/load"));
}

TEST_F(GenerateTest, AnEmptyPromptWithoutAStartTokenIsRefused) {
  load_with("");
  auto const heard = generate({.prompt = ""});
  ASSERT_FALSE(*heard.result);
  EXPECT_THAT(heard.result->error().message, HasSubstr("empty"));
}

TEST_F(GenerateTest, TheEnginesRefusalIsPassedOn) {
  load_with("--refuse the request exceeds the available context size");
  auto const heard = generate({.prompt = "x"});
  ASSERT_FALSE(*heard.result);
  EXPECT_EQ(heard.result->error(),
            (Error{Code::kInvalidArgument, "the request exceeds the available context size"}));
}

TEST_F(GenerateTest, AnErrorInTheStreamEndsItOnceWithItsCause) {
  load_with("--error-after 2");
  auto const heard = generate({.prompt = "x", .max_tokens = 5});
  ASSERT_FALSE(*heard.result);
  EXPECT_EQ(heard.text, "w0 w1");
  EXPECT_THAT(heard.result->error().message, HasSubstr("lost its mind"));
  EXPECT_TRUE(service_->loaded()) << "the engine lives on";
}

TEST_F(GenerateTest, GarbageFromTheEngineIsAnError) {
  load_with("--garbage");
  auto const heard = generate({.prompt = "x"});
  ASSERT_FALSE(*heard.result);
  EXPECT_EQ(heard.result->error().code, Code::kDataLoss);
}

TEST_F(GenerateTest, ABrokenConnectionOfALivingEngineIsAnErrorOfItsOwn) {
  load_with("--close-after 1");
  auto const heard = generate({.prompt = "x"});
  ASSERT_FALSE(*heard.result);
  EXPECT_THAT(heard.result->error().message, HasSubstr("connection to the engine broke"));
  EXPECT_TRUE(service_->loaded());
}

TEST_F(GenerateTest, AnEngineThatAbortsEndsTheStreamWithSignalAndLastMessages) {
  load_with("--crash-after 2");
  auto const heard = generate({.prompt = "x", .max_tokens = 5});
  ASSERT_FALSE(*heard.result);
  EXPECT_EQ(heard.text, "w0 w1");
  EXPECT_EQ(heard.ends, 1);
  EXPECT_THAT(heard.result->error().message, HasSubstr("signal 6"));
  EXPECT_THAT(heard.result->error().message, HasSubstr("GGML_ASSERT(fake) failed"));
  EXPECT_FALSE(service_->loaded());
}

TEST_F(GenerateTest, KillingTheEngineEndsEveryStreamWithOneErrorAndTheNextLoadWorks) {
  load_with("--hold-after 3");
  std::vector<Listener> listeners(4);
  for (auto& listener : listeners)
    service_->generate({.prompt = "x", .max_tokens = 9}, listener.callbacks());
  for (auto& listener : listeners) listener.wait_for_texts(3);
  ::kill(service_->loaded()->pid, SIGKILL);
  for (auto& listener : listeners) {
    auto const heard = listener.wait();
    EXPECT_EQ(heard.ends, 1);
    ASSERT_FALSE(*heard.result);
    EXPECT_THAT(heard.result->error().message, HasSubstr("signal 9"));
    EXPECT_THAT(heard.result->error().message, HasSubstr("'tiny'"));
  }
  EXPECT_FALSE(service_->loaded());
  EXPECT_THAT(generate({.prompt = "x"}).result->error().message, HasSubstr("signal 9"));
  folder_.write("models/tiny.gguf.flags", "");
  ASSERT_TRUE(load("tiny"));
  EXPECT_EQ(generate({.prompt = "x", .max_tokens = 1}).text, "w0");
}

TEST_F(GenerateTest, AnIdleEnginesDeathIsNoticedWithoutARequest) {
  load_with("");
  ::kill(service_->loaded()->pid, SIGKILL);
  eventually([&] { return !service_->loaded(); }, "the death is noticed");
  EXPECT_TRUE(load("tiny"));
}

TEST_F(GenerateTest, UnloadEndsARunningStreamWithAClearError) {
  load_with("--hold-after 2");
  Listener listener;
  service_->generate({.prompt = "x", .max_tokens = 9}, listener.callbacks());
  listener.wait_for_texts(2);
  EXPECT_EQ(service_->loaded()->active_requests, 1U);
  ASSERT_TRUE(unload());
  auto const heard = listener.wait();
  ASSERT_FALSE(*heard.result);
  EXPECT_EQ(heard.result->error().code, Code::kAborted);
  EXPECT_THAT(heard.result->error().message, HasSubstr("unloaded"));
  EXPECT_EQ(heard.ends, 1);
}

TEST_F(GenerateTest, CancelStopsTheEnginesWork) {
  load_with("--hold-after 2");
  Listener listener;
  auto const running = service_->generate({.prompt = "x", .max_tokens = 9}, listener.callbacks());
  listener.wait_for_texts(2);
  running->cancel();
  running->cancel();
  EXPECT_EQ(listener.wait().result->error().code, Code::kCancelled);
  eventually([&] { return forward("GET", "/fake/stats") == R"({"running":0,"left_early":1})"; },
             "the engine notices that the client left");
  EXPECT_EQ(service_->loaded()->active_requests, 0U);
  auto const found = rows();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].error_occurred);
  EXPECT_EQ(found[0].error_code, "cancelled");
  EXPECT_EQ(found[0].output_tokens, 2);
  EXPECT_EQ(row("tiny").total_inferences, 0);
}

TEST_F(GenerateTest, MoreRequestsThanTheBoundAreRefused) {
  load_with("--hold-after 0");
  std::vector<Listener> listeners(256);
  for (auto& listener : listeners) service_->generate({.prompt = "x"}, listener.callbacks());
  eventually([&] { return service_->loaded()->active_requests == 256; }, "256 requests run");
  EXPECT_EQ(generate({.prompt = "x"}).result->error().code, Code::kResourceExhausted);
  ASSERT_TRUE(unload());
  for (auto& listener : listeners) EXPECT_EQ(listener.wait().ends, 1);
}

TEST_F(GenerateTest, ASuccessfulRunIsRecordedBeforeItsEndIsTold) {
  load_with("");
  auto const heard =
      generate({.prompt = "hello", .max_tokens = 3, .temperature = 0.5, .top_p = 0.8});
  ASSERT_TRUE(*heard.result);
  auto const found = rows();
  ASSERT_EQ(found.size(), 1U);
  auto const& run = found[0];
  EXPECT_EQ(run.input_tokens, 1);
  EXPECT_EQ(run.output_tokens, 3);
  EXPECT_EQ(run.prompt_hash, "2cf24dba5fb0a30e");
  EXPECT_EQ(run.max_new_tokens, 3);
  EXPECT_EQ(run.temperature, 0.5);
  EXPECT_EQ(run.top_p, 0.8);
  EXPECT_EQ(run.repetition_detected, false);
  EXPECT_EQ(run.model_dtype, "Q4_1");
  EXPECT_EQ(run.model_device, "cpu");
  EXPECT_FALSE(run.error_occurred);
  EXPECT_GT(run.cpu_mem_rss_mb.value_or(0), 0);
  EXPECT_TRUE(run.system_load_1min);
  EXPECT_TRUE(run.time_to_first_token_ms);
  EXPECT_EQ(row("tiny").total_inferences, 1);
  EXPECT_EQ(run.model_name, "tiny");
  EXPECT_EQ(run.endpoint, "/api/generate");
  EXPECT_EQ(run.engine_version, "fake-1");
  EXPECT_GE(run.queue_wait_ms.value_or(-1), 0);
  EXPECT_GT(run.engine_mem_mb.value_or(0), 0);
  // What the engine said of itself.
  EXPECT_EQ(run.cached_tokens, 0);
  EXPECT_EQ(run.prefill_ms, 8);
  EXPECT_EQ(run.decode_ms, 40);
  EXPECT_EQ(run.decode_tokens_per_second, 50);
  EXPECT_TRUE(run.inter_token_mean_ms);
  EXPECT_LE(run.inter_token_p95_ms.value_or(1e9), run.inter_token_max_ms.value_or(0));
}

TEST_F(GenerateTest, ARunThatPassesThroughIsRecordedWithTheEnginesCounts) {
  load_with("");
  // The fake engine answers with what it was asked.
  std::string const body =
      R"({"usage":{"prompt_tokens":11,"completion_tokens":5},)"
      R"("timings":{"cache_n":3,"prompt_n":8,"prompt_ms":4.0,"predicted_n":5,"predicted_ms":20.0}})";
  (void)forward("POST", "/v1/chat/completions", body);
  auto const found = rows();
  ASSERT_EQ(found.size(), 1U);
  auto const& run = found[0];
  EXPECT_EQ(run.endpoint, "/v1/chat/completions");
  EXPECT_EQ(run.input_tokens, 11);
  EXPECT_EQ(run.output_tokens, 5);
  EXPECT_EQ(run.cached_tokens, 3);
  EXPECT_EQ(run.prefill_tokens_per_second, 2000);
  EXPECT_EQ(run.decode_tokens_per_second, 200);
  EXPECT_FALSE(run.time_to_first_token_ms) << "a whole answer does not say when it began";
  EXPECT_FALSE(run.error_occurred);
  EXPECT_EQ(row("tiny").total_inferences, 1);
}

TEST_F(GenerateTest, CountingTokensIsNoRun) {
  load_with("");
  (void)forward("POST", "/tokenize", "{}");
  (void)forward("POST", "/v1/messages/count_tokens", "{}");
  (void)forward("GET", "/fake/stats");
  EXPECT_TRUE(rows().empty());
}

TEST_F(GenerateTest, WhoListensHearsOfEveryRunAlsoWithLoggingOff) {
  std::mutex mutex;
  std::vector<std::string> heard;
  options_.performance_logging = false;
  options_.on_run = [&](std::string const& model, registry::PerformanceRow const& row) {
    std::lock_guard const lock(mutex);
    heard.push_back(model + " " + row.endpoint.value_or("?"));
  };
  start_service();
  load_with("");
  EXPECT_FALSE(service_->performance_logging());
  ASSERT_TRUE(*generate({.prompt = "hello", .max_tokens = 2}).result);
  (void)forward("POST", "/v1/embeddings", "{}");
  {
    std::lock_guard const lock(mutex);
    EXPECT_EQ(heard, (std::vector<std::string>{"tiny /api/generate", "tiny /v1/embeddings"}));
  }
  EXPECT_TRUE(rows().empty());
  service_.reset();  // before what it tells
}

TEST_F(GenerateTest, WaitingAndWorkingRequestsAreCounted) {
  load_with("--hold-after 0");
  EXPECT_EQ(service_->request_counts().working, 0U);
  std::vector<Listener> listeners(3);
  for (auto& listener : listeners) service_->generate({.prompt = "x"}, listener.callbacks());
  eventually([&] { return service_->request_counts().working == 3; }, "three requests work");
  EXPECT_EQ(service_->request_counts().waiting, 0U);
  ASSERT_TRUE(unload());
  for (auto& listener : listeners) listener.wait();
  eventually([&] { return service_->request_counts().waiting == 0; }, "none is left");
}

TEST_F(GenerateTest, AFailedRunIsRecordedWithItsError) {
  load_with("--error-after 1");
  ASSERT_FALSE(*generate({.prompt = "hello"}).result);
  auto const found = rows();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].error_occurred);
  EXPECT_THAT(found[0].error_message.value_or(""), HasSubstr("lost its mind"));
  EXPECT_EQ(found[0].output_tokens, 1);
}

TEST_F(GenerateTest, NothingIsRecordedWhileLoggingIsOff) {
  load_with("");
  EXPECT_TRUE(service_->performance_logging());
  service_->set_performance_logging(false);
  ASSERT_TRUE(*generate({.prompt = "hello", .max_tokens = 2}).result);
  EXPECT_TRUE(rows().empty());
}

TEST_F(GenerateTest, ValidateGeneratesWithoutARecord) {
  EXPECT_EQ(validate().error().code, Code::kFailedPrecondition);
  load_with("");
  auto const outcome = validate();
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->healthy);
  EXPECT_EQ(outcome->model_name, "tiny");
  EXPECT_EQ(outcome->device, "cpu");
  EXPECT_EQ(outcome->dtype, "Q4_1");
  EXPECT_TRUE(rows().empty());
  EXPECT_EQ(row("tiny").total_inferences, 0);
}

TEST_F(GenerateTest, ValidateOfAnUnwellModelIsAnAnswerNotAnError) {
  load_with("--error-after 0");
  auto const outcome = validate();
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->healthy);
  EXPECT_THAT(outcome->error, HasSubstr("lost its mind"));
}

TEST_F(GenerateTest, ForwardPassesARequestThroughUnchanged) {
  EXPECT_THAT(forward("POST", "/v1/chat/completions", "{}"), HasSubstr("no model is loaded"));
  load_with("");
  EXPECT_EQ(forward("POST", "/v1/chat/completions?x=1", R"({"a":1})"),
            R"(POST /v1/chat/completions?x=1 {"a":1})");
}

TEST_F(GenerateTest, ShutdownLetsARunningStreamEndWithinTheGrace) {
  load_with("");
  Listener listener;
  service_->generate({.prompt = "x", .max_tokens = 2000}, listener.callbacks());
  listener.wait_for_texts(1);
  service_->shutdown(std::chrono::seconds(30));
  auto const heard = listener.now();
  ASSERT_TRUE(heard.result);
  EXPECT_TRUE(*heard.result) << heard.result->error().message;
}

TEST_F(GenerateTest, ShutdownCutsAStreamAfterTheGraceAndEndsTheEngine) {
  load_with("--hold-after 1");
  Listener listener;
  service_->generate({.prompt = "x"}, listener.callbacks());
  listener.wait_for_texts(1);
  int const pid = service_->loaded()->pid;
  service_->shutdown(milliseconds(20));
  auto const heard = listener.now();
  EXPECT_EQ(heard.ends, 1);
  ASSERT_FALSE(*heard.result);
  EXPECT_THAT(heard.result->error().message, HasSubstr("shutting down"));
  EXPECT_NE(::kill(pid, 0), 0);
}

}  // namespace
}  // namespace homelab::engine
