#include <gmock/gmock.h>
#include <signal.h>

#include "service_fixture.h"

namespace homelab::engine {
namespace {

using State = ModelChange::State;
using testing::ElementsAre;
using testing::HasSubstr;

class ChangesTest : public ServiceTest {
 protected:
  void SetUp() override {
    ServiceTest::SetUp();
    options_.on_change = [this](ModelChange const& change) {
      std::lock_guard const lock(mutex_);
      heard_.push_back(change);
    };
    start_service();
  }
  std::vector<ModelChange> heard() {
    std::lock_guard const lock(mutex_);
    return heard_;
  }

  std::mutex mutex_;
  std::vector<ModelChange> heard_;
};

TEST_F(ChangesTest, ALoadAndAnUnloadAreToldBeforeTheyAreAnswered) {
  add_local("tiny");
  ASSERT_TRUE(load("tiny"));
  EXPECT_THAT(heard(), ElementsAre(ModelChange{"tiny", State::kLoading},
                                   ModelChange{"tiny", State::kLoaded}));
  ASSERT_TRUE(unload());
  EXPECT_EQ(heard().back(), (ModelChange{"tiny", State::kUnloaded}));
  EXPECT_EQ(heard().size(), 3U);
}

TEST_F(ChangesTest, AFailedLoadIsToldWithItsReason) {
  add_local("bad", "--fail-load bad tensor");
  ASSERT_FALSE(load("bad"));
  auto const all = heard();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].state, State::kUnloaded);
  EXPECT_THAT(all[1].error, HasSubstr("bad tensor"));
}

TEST_F(ChangesTest, ACancelledLoadIsNoFailure) {
  add_local("slow", "--never-ready");
  auto const later = load_later("slow");
  eventually([this] { return !heard().empty(); }, "the load");
  ASSERT_TRUE(unload("slow"));
  later.wait();
  EXPECT_THAT(heard(), ElementsAre(ModelChange{"slow", State::kLoading},
                                   ModelChange{"slow", State::kUnloaded}));
}

TEST_F(ChangesTest, AnEngineThatDiesIsToldWithItsReason) {
  add_local("tiny");
  ASSERT_TRUE(load("tiny"));
  ASSERT_EQ(::kill(service_->loaded()->pid, SIGKILL), 0);
  eventually([this] { return heard().size() == 3; }, "the death");
  EXPECT_EQ(heard()[2].state, State::kUnloaded);
  EXPECT_THAT(heard()[2].error, HasSubstr("signal 9"));
}

TEST_F(ChangesTest, AModelThatTakesThePlaceOfAnotherIsToldInThatOrder) {
  add_local("one");
  add_local("two");
  ASSERT_TRUE(load("one"));
  ASSERT_TRUE(load("two"));
  EXPECT_THAT(heard(),
              ElementsAre(ModelChange{"one", State::kLoading}, ModelChange{"one", State::kLoaded},
                          ModelChange{"one", State::kUnloaded}, ModelChange{"two", State::kLoading},
                          ModelChange{"two", State::kLoaded}));
}

}  // namespace
}  // namespace homelab::engine
