// Engines that hang, die again and again, or do not want to stop; and what they wrote.
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>
#include <future>

#include "service_fixture.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

/// Also when nobody has asked how.
bool has_ended(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  return !std::getline(file, line) || line.find(") Z ") != std::string::npos;
}

class IsolationTest : public ServiceTest {
 protected:
  void SetUp() override {
    options_.hang_timeout = milliseconds(400);
    options_.health_timeout = milliseconds(400);
    options_.max_loaded = 4;
    options_.free_memory = [] { return std::uint64_t{1} << 40U; };
    ServiceTest::SetUp();
  }
  static GenerateRequest on(std::string const& model) {
    GenerateRequest request;
    request.prompt = "a b";
    request.max_tokens = 5;
    request.model = model;
    return request;
  }
};

TEST_F(IsolationTest, AnEngineThatHangsIsEndedAndItsRequestGetsOneClearError) {
  add_local("m", "--hang-after 2");
  ASSERT_TRUE(load("m"));
  int const pid = service_->loaded()->pid;
  auto const heard = generate(on("m"));
  ASSERT_TRUE(heard.result.has_value());
  ASSERT_FALSE(heard.result->has_value());
  EXPECT_EQ(heard.result->error().code, Code::kUnavailable);
  EXPECT_THAT(heard.result->error().message, HasSubstr("the engine hangs"));
  EXPECT_EQ(heard.ends, 1);
  EXPECT_FALSE(service_->loaded());
  eventually([pid] { return ::kill(pid, 0) != 0; }, "the hung process is gone");
  EXPECT_THAT(service_->log_of("m")->tail(10), HasSubstr("the engine hangs"));
}

TEST_F(IsolationTest, TheNextLoadAfterAHangWorks) {
  add_local("m", "--hang-after 2");
  ASSERT_TRUE(load("m"));
  EXPECT_FALSE(generate(on("m")).result->has_value());
  folder_.write("models/m.gguf.flags", "\n");
  ASSERT_TRUE(load("m"));
  EXPECT_TRUE(generate(on("m")).result->has_value());
}

TEST_F(IsolationTest, ASlowEngineThatWorksIsLeftAlone) {
  add_local("m", "--work-after 2\n--work-ms 1500");
  ASSERT_TRUE(load("m"));
  EXPECT_TRUE(generate(on("m")).result->has_value());
}

TEST_F(IsolationTest, AnIdleEngineIsLeftAlone) {
  add_local("idle");
  add_local("busy", "--work-after 2\n--work-ms 1500");
  ASSERT_TRUE(load("idle"));
  ASSERT_TRUE(load_beside("busy"));
  EXPECT_TRUE(generate(on("busy")).result->has_value());
  EXPECT_TRUE(generate(on("idle")).result->has_value());
}

TEST_F(IsolationTest, ALoadThatHangsIsGivenUp) {
  add_local("m", "--hang-load");
  auto const loaded = load("m");
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("the engine hangs"));
  EXPECT_THAT(service_->log_of("m")->tail(10), HasSubstr("fake engine for"));
}

TEST_F(IsolationTest, ASlowLoadThatWorksIsNotGivenUp) {
  add_local("m", "--work-load 1500");
  EXPECT_TRUE(load("m"));
}

TEST_F(IsolationTest, AModelWhoseEngineDiesAtEveryLoadIsLeftAloneForAWhile) {
  add_local("m", "--hang-load");
  EXPECT_EQ(load("m").error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(load("m").error().code, Code::kDeadlineExceeded) << "once is not often";
  auto const refused = load("m");
  EXPECT_EQ(refused.error().code, Code::kAborted);
  EXPECT_THAT(refused.error().message, HasSubstr("left alone for"));
  EXPECT_THAT(refused.error().message, HasSubstr("the engine hangs")) << "the cause is kept";
  EXPECT_GT(service_->retry_after("m"), seconds(0));
}

TEST_F(IsolationTest, ForceTriesAtOnceAndSuccessForgets) {
  add_local("m", "--abort-load");
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(load("m", true));
  folder_.write("models/m.gguf.flags", "\n");
  ASSERT_TRUE(load("m", true));
  EXPECT_EQ(service_->retry_after("m"), seconds(0));
}

TEST_F(IsolationTest, AStubbornEngineDoesNotKeepTheOthersFromEnding) {
  options_.stop_grace = seconds(4);
  start_service();
  add_local("a", "--ignore-sigterm");
  add_local("b");
  ASSERT_TRUE(load("a"));
  ASSERT_TRUE(load_beside("b"));
  auto const engines = service_->all_loaded();
  auto stopping = std::async(std::launch::async, [this] { service_->shutdown(milliseconds(0)); });
  // Not yet waited for, because the stubborn one comes first.
  eventually([&] { return has_ended(engines[1].pid); }, "the second engine ends");
  EXPECT_EQ(::kill(engines[0].pid, 0), 0) << "the first one still has its grace";
  stopping.get();
  EXPECT_NE(::kill(engines[0].pid, 0), 0);
}

TEST_F(IsolationTest, TheLogOfADeadEngineCanBeRead) {
  add_local("m", "--crash-after 2");
  ASSERT_TRUE(load("m"));
  EXPECT_FALSE(generate(on("m")).result->has_value());
  auto const log = service_->log_of("m");
  ASSERT_TRUE(log);
  EXPECT_THAT(log->tail(10), HasSubstr("GGML_ASSERT(fake) failed"));
  EXPECT_FALSE(service_->log_of("other"));
}

}  // namespace
}  // namespace homelab::engine
