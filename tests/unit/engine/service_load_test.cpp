#include <gmock/gmock.h>
#include <signal.h>

#include "service_fixture.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class LoadTest : public ServiceTest {};

TEST_F(LoadTest, ALoadedModelIsShownAndItsRowKnowsIt) {
  add_local("tiny");
  auto const model = load("  tiny ");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->compatibility_status, "compatible");
  EXPECT_EQ(model->total_loads, 1);
  EXPECT_EQ(model->parameter_count, 134515008);
  EXPECT_EQ(model->architecture, "llama");
  auto const loaded = service_->loaded();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->name, "tiny");
  EXPECT_EQ(loaded->id, model->id);
  EXPECT_EQ(loaded->device, "cpu");
  EXPECT_EQ(loaded->dtype, "Q4_1");
  EXPECT_GT(loaded->resident_bytes, 0U);
  auto const jobs = service_->jobs();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].state, "done");
}

TEST_F(LoadTest, ARepositoryComesThroughTheDownloader) {
  downloader_.serve("org/tiny", folder_ / "snapshot");
  folder_.write("snapshot/m.gguf", "x");
  add_repository("tiny", "org/tiny:Q4_1");
  auto const model = load("tiny");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->current_commit, std::string(40, 'c'));
  EXPECT_EQ(model->current_version, "main");
  EXPECT_DOUBLE_EQ(model->model_size_mb.value_or(0), 3.0);
  EXPECT_EQ(service_->loaded()->commit, std::string(40, 'c'));
  EXPECT_EQ(service_->jobs()[0].downloaded_bytes, 400U);
}

TEST_F(LoadTest, LoadingTheLoadedModelAgainAnswersAtOnceAndKeepsItsProcess) {
  add_local("tiny");
  ASSERT_TRUE(load("tiny"));
  int const pid = service_->loaded()->pid;
  ASSERT_TRUE(load("tiny"));
  EXPECT_EQ(service_->loaded()->pid, pid);
  EXPECT_EQ(row("tiny").total_loads, 1);
}

TEST_F(LoadTest, ThePreviousModelGoesFirst) {
  add_local("one");
  add_local("two");
  ASSERT_TRUE(load("one"));
  int const old_pid = service_->loaded()->pid;
  ASSERT_TRUE(load("two"));
  EXPECT_EQ(service_->loaded()->name, "two");
  EXPECT_NE(::kill(old_pid, 0), 0) << "the old engine still runs";
}

TEST_F(LoadTest, AnUnknownNameIsNotFoundAndLeavesTheLoadedModel) {
  add_local("tiny");
  ASSERT_TRUE(load("tiny"));
  auto const model = load("absent");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Code::kNotFound);
  EXPECT_TRUE(service_->loaded());
}

TEST_F(LoadTest, AnEngineThatRefusesTheModelGivesItsOwnReason) {
  add_local("bad", "--fail-load unknown pre-tokenizer 'zork'");
  auto const model = load("bad");
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("unknown pre-tokenizer 'zork'"));
  EXPECT_EQ(row("bad").compatibility_status, "incompatible");
  EXPECT_THAT(row("bad").compatibility_notes.value_or(""), HasSubstr("zork"));
  EXPECT_FALSE(service_->loaded());
  EXPECT_EQ(service_->jobs()[0].state, "failed");
}

TEST_F(LoadTest, AModelThatCannotBeDescribedIsNeverStarted) {
  add_local("bad", "--fail-describe architecture 'foo' is not supported from safetensors");
  auto const model = load("bad");
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("architecture 'foo' is not supported"));
}

TEST_F(LoadTest, AnIncompatibleModelNeedsForceAndAForcedSuccessClearsIt) {
  add_local("bad", "--fail-load no");
  ASSERT_FALSE(load("bad"));
  auto const refused = load("bad");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, HasSubstr("force"));
  EXPECT_THAT(refused.error().message, HasSubstr(row("bad").compatibility_notes.value_or("?")));
  folder_.write("models/bad.gguf.flags", "");
  auto const forced = load("bad", true);
  ASSERT_TRUE(forced) << forced.error().message;
  EXPECT_EQ(forced->compatibility_status, "compatible");
}

TEST_F(LoadTest, ARefusedLoadLeavesTheLoadedModelRunning) {
  add_local("good");
  add_local("bad", "--fail-load no");
  ASSERT_FALSE(load("bad"));
  ASSERT_TRUE(load("good"));
  ASSERT_FALSE(load("bad"));
  ASSERT_TRUE(service_->loaded());
  EXPECT_EQ(service_->loaded()->name, "good");
  EXPECT_EQ(generate({.prompt = "a b", .max_tokens = 2}).text, "w0 w1");
}

TEST_F(LoadTest, AnAbortWhileLoadingNamesTheSignalAndTheLastMessages) {
  add_local("bad", "--abort-load");
  auto const model = load("bad");
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("signal 6"));
  EXPECT_THAT(model.error().message, HasSubstr("GGML_ASSERT(fake) failed"));
  EXPECT_EQ(row("bad").compatibility_status, "incompatible");
}

TEST_F(LoadTest, AMissingRepositoryIsAFailedLoadNotAnUnknownModel) {
  add_repository("gone", "org/gone");
  auto const model = load("gone");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Code::kInternal);
  EXPECT_THAT(model.error().message, HasSubstr("no repository org/gone"));
}

TEST_F(LoadTest, ANetworkFailureDoesNotCondemnTheModel) {
  add_repository("tiny", "org/tiny");
  downloader_.refuse("org/tiny", {Code::kUnavailable, "no network"});
  auto const before = row("tiny").compatibility_status;
  auto const model = load("tiny");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Code::kUnavailable);
  EXPECT_EQ(row("tiny").compatibility_status, before);
}

TEST_F(LoadTest, RequestsForTheLoadingModelJoinItsLoad) {
  downloader_.serve("org/tiny", folder_ / "snapshot");
  folder_.write("snapshot/m.gguf", "x");
  folder_.write("snapshot/m.gguf.flags", "--slow-load 200\n");
  add_repository("tiny", "org/tiny");
  std::vector<std::future<Result<registry::Model>>> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(load_later("tiny"));
  for (auto& answer : answers) EXPECT_TRUE(answer.get());
  EXPECT_EQ(downloader_.calls(), 1);
  EXPECT_EQ(row("tiny").total_loads, 1);
}

TEST_F(LoadTest, TheRowIsTestingAndNothingIsLoadedDuringALoad) {
  add_local("old");
  ASSERT_TRUE(load("old"));
  add_repository("slow", "org/slow");
  downloader_.hang("org/slow");
  auto answer = load_later("slow");
  eventually([&] { return row("slow").compatibility_status == "testing"; },
             "the row becomes testing");
  EXPECT_FALSE(service_->loaded());
  eventually([&] { return service_->jobs()[0].state == "downloading"; }, "the job downloads");
  EXPECT_THAT(generate({.prompt = "x"}).result->error().message,
              HasSubstr("'slow' is still being loaded"));
  auto const removed = remove("slow");
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(check_unused({"slow"}).error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(remove("old"));
  EXPECT_TRUE(unload());
  EXPECT_FALSE(answer.get());
}

TEST_F(LoadTest, UnloadDuringALoadCancelsItAndRestoresTheRow) {
  add_repository("slow", "org/slow");
  downloader_.hang("org/slow");
  auto const before = row("slow").compatibility_status;
  auto answer = load_later("slow");
  eventually([&] { return downloader_.calls() == 1; }, "the download starts");
  auto const unloaded = unload();
  ASSERT_TRUE(unloaded) << unloaded.error().message;
  EXPECT_EQ(*unloaded, "slow");
  auto const model = answer.get();
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, Code::kCancelled);
  EXPECT_EQ(row("slow").compatibility_status, before);
  EXPECT_EQ(service_->jobs()[0].state, "cancelled");
}

TEST_F(LoadTest, UnloadCancelsAnEngineThatNeverGetsReady) {
  add_local("stuck", "--never-ready");
  auto answer = load_later("stuck");
  eventually(
      [&] { return service_->jobs().size() == 1 && service_->jobs()[0].state == "starting"; },
      "it starts");
  ASSERT_TRUE(unload());
  EXPECT_EQ(answer.get().error().code, Code::kCancelled);
}

TEST_F(LoadTest, UnloadGivesTheNameAndEndsTheProcessEvenIfItIgnoresSigterm) {
  add_local("stubborn", "--ignore-sigterm");
  ASSERT_TRUE(load("stubborn"));
  int const pid = service_->loaded()->pid;
  auto const name = unload();
  ASSERT_TRUE(name);
  EXPECT_EQ(*name, "stubborn");
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_FALSE(service_->loaded());
  EXPECT_EQ(unload().error().code, Code::kFailedPrecondition);
}

TEST_F(LoadTest, RemovesARowUnlessItsModelIsLoaded) {
  add_local("tiny");
  ASSERT_TRUE(load("tiny"));
  auto const refused = remove("tiny");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(unload());
  auto const removed = remove("tiny");
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_EQ(removed->model_name, "tiny");
  EXPECT_EQ(remove("tiny").error().code, Code::kNotFound);
}

TEST_F(LoadTest, ALoadConfigThatCannotBeObeyedIsRefusedAndTheModelKeepsItsStatus) {
  add_local("tiny");
  set_load_config("tiny", R"({"torch_dtype": "float16"})");
  auto const refused = load("tiny");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("asks for float16"));
  EXPECT_EQ(row("tiny").compatibility_status, "unknown");
  set_load_config("tiny", R"({"no_such_key": 1})");
  EXPECT_THAT(load("tiny").error().message, HasSubstr("'no_such_key'"));
  set_load_config("tiny", R"({"device_map": "auto", "context": 512})");
  EXPECT_TRUE(load("tiny"));
}

TEST_F(LoadTest, AModelIsUnusedWhenItIsNeitherLoadedNorLoadingNorWaiting) {
  add_local("tiny");
  EXPECT_TRUE(check_unused({"tiny", "nobody"}));
  ASSERT_TRUE(load("tiny"));
  EXPECT_EQ(check_unused({"nobody", " tiny "}).error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(check_unused({"other"}));
  ASSERT_TRUE(unload());
  EXPECT_TRUE(check_unused({"tiny"}));
}

TEST_F(LoadTest, AnEngineThatWritesAMegabyteWhileLoadingIsNotBlocked) {
  add_local("loud", "--chatter");
  auto const model = load("loud");
  ASSERT_TRUE(model) << model.error().message;
}

TEST_F(LoadTest, TheSocketIsGoneAfterTheUnload) {
  add_local("tiny");
  ASSERT_TRUE(load("tiny"));
  auto const sockets = [&] {
    int count = 0;
    for (auto const& entry : std::filesystem::directory_iterator(options_.runtime_folder))
      count += entry.path().extension() == ".sock" ? 1 : 0;
    return count;
  };
  EXPECT_EQ(sockets(), 1);
  ASSERT_TRUE(unload());
  EXPECT_EQ(sockets(), 0);
}

TEST_F(LoadTest, AMissingProgramSaysHowToGetIt) {
  options_.program = folder_ / "absent";
  auto const service =
      EngineService::create(options_, {*loops_, *registry_, downloader_, *locations_});
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().code, Code::kNotFound);
  EXPECT_THAT(service.error().message, HasSubstr("make build"));
}

TEST_F(LoadTest, ARuntimeFolderTooLongForSocketsIsRefused) {
  options_.runtime_folder = folder_ / std::string(100, 'x');
  auto const service =
      EngineService::create(options_, {*loops_, *registry_, downloader_, *locations_});
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().code, Code::kInvalidArgument);
}

TEST_F(LoadTest, LeftoversOfDeadServersAreRemovedAtStart) {
  service_.reset();
  auto const dead = folder_.write("run/4194303-1.log", "x");
  auto const own = folder_.write("run/" + std::to_string(::getpid()) + "-7.log", "x");
  auto service = EngineService::create(options_, {*loops_, *registry_, downloader_, *locations_});
  ASSERT_TRUE(service);
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(own));
}

TEST_F(LoadTest, ShutdownCancelsARunningLoadAndRefusesNewWork) {
  add_repository("slow", "org/slow");
  downloader_.hang("org/slow");
  auto answer = load_later("slow");
  eventually([&] { return downloader_.calls() == 1; }, "the download starts");
  service_->shutdown(milliseconds(10));
  EXPECT_EQ(answer.get().error().code, Code::kCancelled);
  EXPECT_EQ(load("slow").error().code, Code::kUnavailable);
  EXPECT_EQ(generate({.prompt = "x"}).result->error().code, Code::kUnavailable);
  service_->shutdown(milliseconds(10));
}

}  // namespace
}  // namespace homelab::engine
