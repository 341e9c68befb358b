// Several models at once, with real (fake) engine processes.
#include <gmock/gmock.h>
#include <signal.h>

#include "service_fixture.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

class SeveralTest : public ServiceTest {
 protected:
  void SetUp() override {
    options_.max_loaded = 2;
    options_.threads = 4;
    options_.free_memory = [this] { return free_bytes_.load(); };
    ServiceTest::SetUp();
    for (auto const* name : {"a", "b", "c"}) add_local(name);
  }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (auto const& model : service_->all_loaded()) out.push_back(model.name);
    return out;
  }
  std::string ask(std::string const& model) { return forward("POST", "/echo", "{}", model); }

  std::atomic<std::uint64_t> free_bytes_{1ULL << 40U};
};

TEST_F(SeveralTest, ARequestLoadsTheModelItNames) {
  EXPECT_EQ(ask("a"), "POST /echo {}");
  EXPECT_EQ(ask("b"), "POST /echo {}");
  EXPECT_THAT(names(), ElementsAre("a", "b"));
  EXPECT_EQ(service_->loaded()->name, "a");
}

TEST_F(SeveralTest, TenRequestsForOneModelAreOneLoad) {
  std::vector<std::future<Status>> ends;
  for (int i = 0; i < 10; ++i) {
    auto const promise = std::make_shared<std::promise<Status>>();
    ends.push_back(promise->get_future());
    http::LocalCallbacks callbacks;
    callbacks.on_done = [promise](Status status) { promise->set_value(std::move(status)); };
    service_->forward({"a", "POST", "/echo", "{}", std::nullopt}, callbacks);
  }
  for (auto& end : ends) EXPECT_TRUE(end.get());
  EXPECT_EQ(row("a").total_loads, 1);
}

TEST_F(SeveralTest, TheReasonOfAFailedLoadIsTheAnswer) {
  add_local("bad", "--fail-load unknown pre-tokenizer");
  EXPECT_THAT(ask("bad"), HasSubstr("unknown pre-tokenizer"));
  EXPECT_THAT(ask("bad"), HasSubstr("left alone"));
  EXPECT_GT(service_->retry_after("bad"), seconds(0));
  EXPECT_EQ(service_->retry_after("a"), seconds(0));
}

TEST_F(SeveralTest, TheModelUsedLongestAgoMakesRoom) {
  ask("a");
  ask("b");
  int const old_pid = service_->loaded()->pid;
  EXPECT_EQ(ask("c"), "POST /echo {}");
  EXPECT_THAT(names(), ElementsAre("b", "c"));
  EXPECT_NE(::kill(old_pid, 0), 0) << "the old engine still runs";
  EXPECT_EQ(service_->loaded()->name, "c") << "the place of the loaded model was free";
}

TEST_F(SeveralTest, MemoryCountsToo) {
  ask("a");
  free_bytes_ = 0;
  auto const refused = load_beside("b");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("'b' needs about"));
  EXPECT_THAT(refused.error().message, HasSubstr("loaded: 'a'"));
  EXPECT_THAT(names(), ElementsAre("a"));
  EXPECT_EQ(row("b").compatibility_status, "unknown") << "a full machine says nothing about it";
}

TEST_F(SeveralTest, ForceTriesItAllTheSame) {
  free_bytes_ = 0;
  auto const loaded = load("a", true);
  EXPECT_TRUE(loaded) << loaded.error().message;
}

TEST_F(SeveralTest, APinnedModelStaysAndIsShown) {
  options_.pinned = {"a"};
  options_.max_loaded = 1;
  start_service();
  ask("a");
  EXPECT_TRUE(service_->loaded()->pinned);
  EXPECT_THAT(ask("b"), HasSubstr("'a' (pinned)"));
}

TEST_F(SeveralTest, AModelInUseIsNotTakenAway) {
  add_local("slow", "--hold-after 1");
  options_.max_loaded = 1;
  start_service();
  Listener listener;
  GenerateRequest request;
  request.model = "slow";
  request.prompt = "x";
  auto const running = service_->generate(request, listener.callbacks());
  listener.wait_for_texts(1);
  auto other = load_later("b", false, Place::kBeside);
  EXPECT_EQ(other.wait_for(milliseconds(100)), std::future_status::timeout);
  EXPECT_THAT(names(), ElementsAre("slow"));
  running->cancel();
  listener.wait();
  EXPECT_TRUE(other.get());
  EXPECT_THAT(names(), ElementsAre("b"));
}

TEST_F(SeveralTest, ModelsTakeTurnsAtTheProcessor) {
  add_local("slow", "--hold-after 1");
  ASSERT_TRUE(load_beside("b"));
  Listener first;
  GenerateRequest request;
  request.model = "slow";
  request.prompt = "x";
  auto const running = service_->generate(request, first.callbacks());
  first.wait_for_texts(1);
  Listener second;
  request.model = "b";
  service_->generate(request, second.callbacks());
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_FALSE(second.now().result) << "both would fight for the same cores";
  running->cancel();
  EXPECT_TRUE(*second.wait().result);
}

TEST_F(SeveralTest, ARequestThatWaitsForItsTurnCanBeCancelled) {
  add_local("slow", "--hold-after 1");
  ASSERT_TRUE(load_beside("b"));
  Listener first;
  GenerateRequest request;
  request.model = "slow";
  request.prompt = "x";
  auto const running = service_->generate(request, first.callbacks());
  first.wait_for_texts(1);
  Listener second;
  request.model = "b";
  auto const waiting = service_->generate(request, second.callbacks());
  waiting->cancel();
  EXPECT_EQ(second.wait().result->error().code, Code::kCancelled);
  running->cancel();
  first.wait();
}

TEST_F(SeveralTest, UnloadNamesOneOfThem) {
  ask("a");
  ask("b");
  auto const name = unload("b");
  ASSERT_TRUE(name) << name.error().message;
  EXPECT_EQ(*name, "b");
  EXPECT_THAT(names(), ElementsAre("a"));
  EXPECT_THAT(unload("b").error().message, HasSubstr("'b' is not loaded"));
}

TEST_F(SeveralTest, ALoadOfTheOriginalsKindReplacesOnlyTheLoadedModel) {
  ask("a");
  ask("b");
  ASSERT_TRUE(load("c"));
  EXPECT_THAT(names(), ElementsAre("b", "c"));
  EXPECT_EQ(service_->loaded()->name, "c");
}

TEST_F(SeveralTest, TheDeathOfOneLeavesTheOther) {
  ask("a");
  ask("b");
  ASSERT_EQ(::kill(service_->loaded()->pid, SIGKILL), 0);
  eventually([&] { return names() == std::vector<std::string>{"b"}; }, "a is gone");
  EXPECT_EQ(ask("b"), "POST /echo {}");
  EXPECT_THAT(ask("a"), HasSubstr("was lost"));
}

TEST_F(SeveralTest, AModelThatIsIdleIsUnloadedByItself) {
  options_.keep_alive = seconds(1);
  start_service();
  ask("a");
  eventually([&] { return names().empty(); }, "a is unloaded");
}

TEST_F(SeveralTest, ARequestMayUnloadItsModel) {
  http::LocalCallbacks callbacks;
  auto const promise = std::make_shared<std::promise<Status>>();
  callbacks.on_done = [promise](Status status) { promise->set_value(std::move(status)); };
  service_->forward({"a", "POST", "/echo", "{}", seconds(0)}, callbacks);
  EXPECT_TRUE(promise->get_future().get());
  eventually([&] { return names().empty(); }, "a is unloaded");
}

TEST_F(SeveralTest, ShutdownEndsAllOfThem) {
  ask("a");
  ask("b");
  auto const models = service_->all_loaded();
  service_->shutdown(milliseconds(10));
  for (auto const& model : models) EXPECT_NE(::kill(model.pid, 0), 0);
}

}  // namespace
}  // namespace homelab::engine
