#include "registry/registry.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "support/temp_dir.h"

namespace homelab::registry {
namespace {

using ::homelab::test::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    registry_.reset();
    auto opened = Registry::open(file());
    ASSERT_TRUE(opened) << opened.error().message;
    registry_ = std::move(*opened);
  }
  [[nodiscard]] std::filesystem::path file() const { return folder_ / "models.db"; }
  Model add(std::string const& name, std::string const& path = "org/name") {
    auto model = registry_->add({.model_name = name, .hf_path = path, .cache_path = {}});
    EXPECT_TRUE(model) << model.error().message;
    return model.value_or(Model{});
  }
  void sql(std::string const& text) const {
    SQLite::Database(file().string(), SQLite::OPEN_READWRITE, 5000).exec(text);
  }
  [[nodiscard]] std::string answer(std::string const& query) const {
    SQLite::Database database(file().string(), SQLite::OPEN_READONLY, 5000);
    return database.execAndGet(query).getString();
  }

  TempDir folder_;
  std::unique_ptr<Registry> registry_;
};

LoadFacts at_commit(std::string commit) {
  LoadFacts facts;
  facts.commit = std::move(commit);
  return facts;
}

PerformanceRow row_of(std::int64_t model, std::int64_t output_tokens = 5) {
  PerformanceRow row;
  row.timestamp = utc_now();
  row.model_registry_id = model;
  row.input_tokens = 3;
  row.output_tokens = output_tokens;
  row.total_inference_ms = 12.5;
  return row;
}

TEST_F(RegistryTest, ANewModelHasTheContractsDefaults) {
  auto const before = utc_now();
  auto const model = registry_->add({.model_name = "qwen",
                                     .hf_path = "Qwen/Qwen2.5-3B-Instruct",
                                     .trust_remote_code = true,
                                     .cache_location = "custom",
                                     .cache_path = "/srv/hf cache"});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->id, 1);
  EXPECT_EQ(model->model_name, "qwen");
  EXPECT_EQ(model->hf_path, "Qwen/Qwen2.5-3B-Instruct");
  EXPECT_TRUE(model->trust_remote_code);
  EXPECT_EQ(model->cache_location, "custom");
  EXPECT_EQ(model->cache_path, "/srv/hf cache");
  EXPECT_EQ(model->compatibility_status, "unknown");
  EXPECT_EQ(model->total_loads, 0);
  EXPECT_EQ(model->total_inferences, 0);
  EXPECT_FALSE(model->update_available);
  EXPECT_FALSE(model->last_loaded);
  EXPECT_GE(model->created_at, before);
  EXPECT_LE(model->created_at, utc_now());
}

TEST_F(RegistryTest, ATakenNameIsRefusedAndNamed) {
  add("qwen");
  auto const again =
      registry_->add({.model_name = "qwen", .hf_path = "other/path", .cache_path = {}});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
  EXPECT_THAT(again.error().message, HasSubstr("'qwen'"));
  EXPECT_EQ(registry_->list()->size(), 1U);
}

TEST_F(RegistryTest, NamesDifferInCaseAndTwoNamesMayShareAPath) {
  add("qwen", "a/b");
  add("Qwen", "a/b");
  EXPECT_EQ(registry_->list()->size(), 2U);
}

TEST_F(RegistryTest, ListIsInTheOrderOfIds) {
  add("c");
  add("a");
  add("b");
  std::vector<std::string> names;
  auto const listed = registry_->list();
  for (Model const& model : *listed) names.push_back(model.model_name);
  EXPECT_THAT(names, ElementsAre("c", "a", "b"));
}

TEST_F(RegistryTest, FindTrimsTheNameItIsGiven) {
  add("Gemma super tiny (270m)");
  EXPECT_EQ(registry_->find(" \tGemma super tiny (270m)\n")->id, 1);
  EXPECT_EQ(registry_->find("gemma super tiny (270m)").error().code, Code::kNotFound);
  EXPECT_THAT(registry_->find("x'; DROP TABLE modelregistry").error().message,
              HasSubstr("'x'; DROP"));
}

TEST_F(RegistryTest, FindRepairsALegacyRowWithStrayBlanks) {
  add("gemma");
  sql("UPDATE modelregistry SET model_name = ' gemma\t', hf_path = ' google / gemma '");
  auto const model = registry_->find("gemma");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->model_name, "gemma");
  EXPECT_EQ(model->hf_path, "google/gemma");
  EXPECT_EQ(answer("SELECT model_name || '|' || hf_path FROM modelregistry"), "gemma|google/gemma");
}

TEST_F(RegistryTest, ALegacyRowWithBlanksBlocksItsTrimmedName) {
  add("gemma");
  sql("UPDATE modelregistry SET model_name = ' gemma '");
  EXPECT_EQ(
      registry_->add({.model_name = "gemma", .hf_path = "a/b", .cache_path = {}}).error().code,
      Code::kAlreadyExists);
}

TEST_F(RegistryTest, AnAbsoluteFolderKeepsItsFirstSlash) {
  add("local", "/srv/models/x");
  EXPECT_EQ(registry_->find("local")->hf_path, "/srv/models/x");
}

TEST_F(RegistryTest, IdsAreNotGivenTwice) {
  add("a");
  auto const second = add("b");
  ASSERT_TRUE(registry_->remove(second.id));
  EXPECT_EQ(add("c").id, 3);
  ASSERT_TRUE(registry_->remove(3));
  open();
  EXPECT_EQ(add("d").id, 4);
}

TEST_F(RegistryTest, IdsStayAboveThoseThatAnotherProgramGave) {
  sql("INSERT INTO modelregistry (id, model_name, hf_path) VALUES (9, 'other', 'a/b')");
  EXPECT_EQ(add("ours").id, 10);
}

TEST_F(RegistryTest, RemovingAModelKeepsItsPerformanceRowsWithoutTheLink) {
  auto const model = add("a");
  registry_->log_performance(row_of(model.id));
  registry_->flush();
  ASSERT_TRUE(registry_->remove(model.id));
  EXPECT_EQ(registry_->find_id(model.id).error().code, Code::kNotFound);
  EXPECT_EQ(answer("SELECT count(*) || '/' || count(model_registry_id) FROM performancelog"),
            "1/0");
  EXPECT_EQ(registry_->remove(model.id).error().code, Code::kNotFound);
}

TEST_F(RegistryTest, ALoadIsTestingOnDiskBeforeItIsTried) {
  auto const model = add("a");
  EXPECT_EQ(*registry_->begin_load(model.id), "unknown");
  EXPECT_EQ(answer("SELECT compatibility_status FROM modelregistry"), "testing");
  EXPECT_EQ(registry_->begin_load(77).error().code, Code::kNotFound);
}

TEST_F(RegistryTest, AFinishedLoadStoresWhatWasLearned) {
  auto const model = add("a");
  auto const previous = registry_->begin_load(model.id);
  LoadFacts const facts{.model_size_mb = 250.5,
                        .parameter_count = 134515008,
                        .model_type = "LlamaForCausalLM",
                        .architecture = "llama",
                        .default_dtype = "torch.bfloat16",
                        .context_length = 8192,
                        .commit = std::string(40, 'a'),
                        .version = "main"};
  auto const loaded = registry_->finish_load(model.id, facts, *previous);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->model_size_mb, 250.5);
  EXPECT_EQ(loaded->parameter_count, 134515008);
  EXPECT_EQ(loaded->model_type, "LlamaForCausalLM");
  EXPECT_EQ(loaded->architecture, "llama");
  EXPECT_EQ(loaded->default_dtype, "torch.bfloat16");
  EXPECT_EQ(loaded->context_length, 8192);
  EXPECT_EQ(loaded->current_commit, std::string(40, 'a'));
  EXPECT_EQ(loaded->current_version, "main");
  EXPECT_EQ(loaded->compatibility_status, "compatible");
  EXPECT_EQ(loaded->total_loads, 1);
  EXPECT_EQ(loaded->last_loaded, loaded->last_updated);
  EXPECT_TRUE(loaded->last_loaded);
}

TEST_F(RegistryTest, ASecondLoadKeepsWhatItDoesNotKnow) {
  auto const model = add("a");
  LoadFacts facts = at_commit("one");
  facts.model_size_mb = 10.0;
  ASSERT_TRUE(registry_->finish_load(model.id, facts, "unknown"));
  auto const again = registry_->finish_load(model.id, {}, "compatible");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->model_size_mb, 10.0);
  EXPECT_EQ(again->current_commit, "one");
  EXPECT_EQ(again->total_loads, 2);
}

TEST_F(RegistryTest, LoadingAnotherCommitIsVisible) {
  auto const model = add("a");
  ASSERT_TRUE(registry_->finish_load(model.id, at_commit("one"), "unknown"));
  sql("UPDATE modelregistry SET update_available = 1, last_updated = '2020-01-01 00:00:00.000000'");
  auto const same = registry_->finish_load(model.id, at_commit("one"), "compatible");
  EXPECT_TRUE(same->update_available);
  EXPECT_EQ(to_database_text(*same->last_updated), "2020-01-01 00:00:00.000000");
  auto const other = registry_->finish_load(model.id, at_commit("two"), "compatible");
  EXPECT_EQ(other->current_commit, "two");
  EXPECT_FALSE(other->update_available);
  EXPECT_GT(*other->last_updated, *same->last_updated);
}

TEST_F(RegistryTest, AnUpdateCheckIsRememberedAndFillsOnlyAMissingCommit) {
  auto const model = add("a");
  auto const first = registry_->record_update_check(model.id, true, "one");
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->update_available);
  EXPECT_TRUE(first->last_update_check);
  EXPECT_EQ(first->current_commit, "one");
  EXPECT_FALSE(first->last_updated);
  auto const second = registry_->record_update_check(model.id, false, "two");
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->update_available);
  EXPECT_EQ(second->current_commit, "one") << "what was loaded is not overwritten by what is there";
  EXPECT_EQ(registry_->record_update_check(99, true, {}).error().code, Code::kNotFound);
}

TEST_F(RegistryTest, AnUpdateSetsTheCommitAndEndsTheOffer) {
  auto const model = add("a");
  ASSERT_TRUE(registry_->record_update_check(model.id, true, "one"));
  auto const updated = registry_->record_update(model.id, "two");
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->current_commit, "two");
  EXPECT_FALSE(updated->update_available);
  EXPECT_TRUE(updated->last_updated);
  EXPECT_EQ(registry_->record_update(99, "x").error().code, Code::kNotFound);
}

TEST_F(RegistryTest, RowsFollowTheirFilesTogetherOrNotAtAll) {
  add("a");
  add("b");
  add("c");
  auto const refused = registry_->relocate({{"a", "nobody"}, "secondary", "/second"});
  EXPECT_EQ(refused.error().code, Code::kNotFound);
  EXPECT_EQ(registry_->find("a")->cache_location, "primary");
  auto const moved = registry_->relocate({{" a ", "c"}, "secondary", "/second"});
  ASSERT_TRUE(moved) << moved.error().message;
  ASSERT_EQ(moved->size(), 2U);
  for (auto const* name : {"a", "c"}) {
    EXPECT_EQ(registry_->find(name)->cache_location, "secondary") << name;
    EXPECT_EQ(registry_->find(name)->cache_path, "/second") << name;
  }
  EXPECT_EQ(registry_->find("b")->cache_location, "primary");
}

TEST_F(RegistryTest, AForcedSuccessClearsTheIncompatibility) {
  auto const model = add("a");
  ASSERT_TRUE(registry_->fail_load(model.id, "incompatible", "it crashed"));
  auto const loaded = registry_->finish_load(model.id, {}, "incompatible");
  EXPECT_EQ(loaded->compatibility_status, "compatible");
  EXPECT_EQ(loaded->compatibility_notes, std::nullopt);
}

TEST_F(RegistryTest, NotesOfAGoodModelSurviveALoad) {
  auto const model = add("a");
  ASSERT_TRUE(registry_->fail_load(model.id, "degraded", "needs a warm GPU"));
  auto const loaded = registry_->finish_load(model.id, {}, "degraded");
  EXPECT_EQ(loaded->compatibility_status, "degraded");
  EXPECT_EQ(loaded->compatibility_notes, "needs a warm GPU");
}

TEST_F(RegistryTest, AFailedLoadWritesStatusAndNotes) {
  auto const model = add("a");
  ASSERT_TRUE(registry_->fail_load(model.id, "incompatible", "no such file"));
  EXPECT_EQ(registry_->find_id(model.id)->compatibility_notes, "no such file");
  ASSERT_TRUE(registry_->fail_load(model.id, std::nullopt, std::nullopt));
  EXPECT_EQ(registry_->find_id(model.id)->compatibility_status, std::nullopt);
  EXPECT_EQ(registry_->fail_load(5, "unknown", std::nullopt).error().code, Code::kNotFound);
}

TEST_F(RegistryTest, AnInterruptedLoadBecomesIncompatibleAtTheNextStart) {
  auto const model = add("a");
  add("untouched");
  ASSERT_TRUE(registry_->fail_load(model.id, "unknown", "earlier remark"));
  ASSERT_TRUE(registry_->begin_load(model.id));
  open();
  EXPECT_THAT(*registry_->recover_interrupted_loads(), ElementsAre("a"));
  auto const recovered = *registry_->find_id(model.id);
  EXPECT_EQ(recovered.compatibility_status, "incompatible");
  EXPECT_THAT(*recovered.compatibility_notes,
              ::testing::MatchesRegex(
                  "\\[[0-9]+-[0-9]+-[0-9]+ [0-9]+:[0-9]+\\] The server ended.*earlier remark"));
  EXPECT_TRUE(registry_->recover_interrupted_loads()->empty());
  EXPECT_EQ(registry_->find("untouched")->compatibility_status, "unknown");
}

TEST_F(RegistryTest, NotesOfRepeatedCrashesDoNotGrowForever) {
  auto const model = add("a");
  ASSERT_TRUE(
      registry_->fail_load(model.id, "unknown", std::string(1999, 'x') + "\xC3\xA4\xC3\xA4"));
  for (int crash = 0; crash < 3; ++crash) {
    ASSERT_TRUE(registry_->begin_load(model.id));
    ASSERT_TRUE(registry_->recover_interrupted_loads());
  }
  EXPECT_LE(registry_->find_id(model.id)->compatibility_notes->size(), 2000U);
}

TEST_F(RegistryTest, PerformanceRowsComeBackNewestFirstWithEveryColumn) {
  auto const model = add("a");
  PerformanceRow full = row_of(model.id, 7);
  full.model_version = "commit";
  full.time_to_first_token_ms = 1.5;
  full.tokens_per_second = 30.25;
  full.cpu_mem_rss_mb = 512.5;
  full.system_load_1min = 0.75;
  full.temperature = 0.0;
  full.top_p = 0.9;
  full.top_k = 40;
  full.do_sample = false;
  full.max_new_tokens = 64;
  full.gpu_mem_peak_alloc_mb = 6100.5;
  full.gpu_temperature_celsius = 67;
  full.prompt_hash = "0123456789abcdef";
  full.repetition_detected = false;
  full.model_dtype = "torch.bfloat16";
  full.model_device = "cpu";
  full.quantization = "Q4_1";
  PerformanceRow older = row_of(model.id, 1);
  older.timestamp = full.timestamp - std::chrono::seconds(1);
  registry_->log_performance(full);
  registry_->log_performance(older);
  registry_->flush();
  auto const rows = *registry_->recent_performance(model.id, 100);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].output_tokens, 1);
  PerformanceRow const& back = rows[0];
  EXPECT_EQ(back.timestamp, full.timestamp);
  EXPECT_EQ(back.model_registry_id, model.id);
  EXPECT_EQ(back.model_version, full.model_version);
  EXPECT_EQ(back.input_tokens, 3);
  EXPECT_EQ(back.output_tokens, 7);
  EXPECT_EQ(back.total_inference_ms, 12.5);
  EXPECT_EQ(back.time_to_first_token_ms, 1.5);
  EXPECT_EQ(back.tokens_per_second, 30.25);
  EXPECT_GT(back.id, 0);
  EXPECT_EQ(back.gpu_mem_peak_alloc_mb, 6100.5);
  EXPECT_EQ(back.gpu_mem_reserved_mb, std::nullopt);
  EXPECT_EQ(back.gpu_temperature_celsius, 67);
  EXPECT_EQ(back.cpu_mem_rss_mb, 512.5);
  EXPECT_EQ(back.system_load_1min, 0.75);
  EXPECT_EQ(back.temperature, 0.0);
  EXPECT_EQ(back.top_p, 0.9);
  EXPECT_EQ(back.top_k, 40);
  EXPECT_FALSE(back.do_sample);
  EXPECT_EQ(back.max_new_tokens, 64);
  EXPECT_EQ(back.prompt_hash, full.prompt_hash);
  EXPECT_EQ(back.repetition_detected, false);
  EXPECT_EQ(back.model_dtype, full.model_dtype);
  EXPECT_EQ(back.model_device, "cpu");
  EXPECT_EQ(back.quantization, "Q4_1");
  EXPECT_EQ(answer("SELECT total_tokens FROM performancelog WHERE output_tokens = 7"), "10");
  EXPECT_EQ(registry_->recent_performance(model.id, 1)->size(), 1U);
  EXPECT_EQ(registry_->recent_performance(model.id, 0)->size(), 0U);
  EXPECT_EQ(registry_->recent_performance(model.id, -1)->size(), 2U);
}

TEST_F(RegistryTest, SuccessfulInferencesAreCountedAndFailedOnesRecorded) {
  auto const model = add("a");
  PerformanceRow failed = row_of(model.id, 0);
  failed.error_occurred = true;
  failed.error_message = "out of memory";
  failed.timestamp += std::chrono::hours(1);
  registry_->log_performance(row_of(model.id));
  registry_->log_performance(row_of(model.id));
  registry_->log_performance(failed);
  registry_->flush();
  EXPECT_EQ(registry_->find_id(model.id)->total_inferences, 2);
  auto const rows = *registry_->recent_performance(model.id, 1);
  EXPECT_EQ(rows.at(0).error_message, "out of memory");
  EXPECT_TRUE(rows.at(0).error_occurred);
}

TEST_F(RegistryTest, AveragesAreThoseOfTheGenerationsThatSucceeded) {
  auto const model = add("a");
  EXPECT_EQ(registry_->summarize_performance(model.id)->generations, 0);
  PerformanceRow slow = row_of(model.id, 10);
  slow.total_inference_ms = 300;
  slow.tokens_per_second = 20;
  slow.cpu_mem_rss_mb = 100;
  PerformanceRow fast = row_of(model.id, 30);
  fast.total_inference_ms = 100;
  fast.tokens_per_second = std::nullopt;
  fast.cpu_mem_rss_mb = 0;
  PerformanceRow failed = row_of(model.id, 500);
  failed.error_occurred = true;
  for (auto const& row : {slow, fast, failed, row_of(add("b").id, 7)})
    registry_->log_performance(row);
  registry_->flush();
  auto const summary = *registry_->summarize_performance(model.id);
  EXPECT_EQ(summary.generations, 2);
  EXPECT_EQ(summary.avg_output_tokens, 20);
  EXPECT_EQ(summary.avg_inference_ms, 200);
  EXPECT_EQ(summary.avg_tokens_per_second, 10);
  EXPECT_EQ(summary.avg_cpu_mem_mb, 100);
  EXPECT_EQ(summary.avg_gpu_mem_mb, std::nullopt);
}

TEST_F(RegistryTest, MetadataThatIsNotNamedStaysAndNullClears) {
  auto const model = add("a");
  MetadataChange noted;
  noted.mmlu_score = 72.5;
  noted.perplexity = 8.25;
  noted.quantization = "GPTQ 4-bit";
  ASSERT_TRUE(registry_->set_metadata(model.id, noted));
  MetadataChange change;
  change.perplexity = std::optional<double>();
  change.avg_latency_ms = 12.0;
  auto const changed = registry_->set_metadata(model.id, change);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->mmlu_score, 72.5);
  EXPECT_EQ(changed->perplexity, std::nullopt);
  EXPECT_EQ(changed->avg_latency_ms, 12.0);
  EXPECT_EQ(changed->quantization, "GPTQ 4-bit");
  EXPECT_EQ(registry_->find_id(model.id)->quantization, "GPTQ 4-bit");
  EXPECT_EQ(registry_->set_metadata(999, noted).error().code, Code::kNotFound);
}

TEST_F(RegistryTest, NumbersThatAreNotFiniteDoNotPoisonTheTable) {
  auto const model = add("a");
  PerformanceRow row = row_of(model.id);
  row.total_inference_ms = std::numeric_limits<double>::quiet_NaN();
  row.tokens_per_second = std::numeric_limits<double>::infinity();
  registry_->log_performance(row);
  registry_->flush();
  auto const back = registry_->recent_performance(model.id, 1)->at(0);
  EXPECT_EQ(back.total_inference_ms, 0.0);
  EXPECT_EQ(back.tokens_per_second, std::nullopt);
  sql("UPDATE modelregistry SET mmlu_score = 9e999");
  EXPECT_EQ(registry_->find_id(model.id)->mmlu_score, std::nullopt);
}

TEST_F(RegistryTest, ARowForAModelThatIsGoneIsKeptWithoutALink) {
  auto const model = add("a");
  ASSERT_TRUE(registry_->remove(model.id));
  registry_->log_performance(row_of(model.id));
  registry_->flush();
  EXPECT_EQ(registry_->dropped_rows(), 0U);
  EXPECT_EQ(answer("SELECT count(*) || '/' || count(model_registry_id) FROM performancelog"),
            "1/0");
}

TEST_F(RegistryTest, ClosingWritesEveryQueuedRow) {
  auto const model = add("a");
  for (int i = 0; i < 3000; ++i) registry_->log_performance(row_of(model.id));
  registry_.reset();
  EXPECT_EQ(answer("SELECT count(*) FROM performancelog"), "3000");
  EXPECT_EQ(answer("SELECT total_inferences FROM modelregistry"), "3000");
}

TEST_F(RegistryTest, ManyThreadsRegisterOneNameAndExactlyOneSucceeds) {
  std::atomic<int> added{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      auto const model = registry_->add({.model_name = "one", .hf_path = "a/b", .cache_path = {}});
      if (model) ++added;
      if (!model && model.error().code == Code::kAlreadyExists) ++refused;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(added, 1);
  EXPECT_EQ(refused, 7);
}

TEST_F(RegistryTest, TwoOpenRegistriesSeeEachOthersRows) {
  auto other = Registry::open(file());
  ASSERT_TRUE(other) << other.error().message;
  add("a");
  EXPECT_EQ((*other)->list()->size(), 1U);
  ASSERT_TRUE((*other)->add({.model_name = "b", .hf_path = "a/b", .cache_path = {}}));
  EXPECT_EQ(registry_->list()->size(), 2U);
}

TEST_F(RegistryTest, TimesInTheFileAreUtcText) {
  add("a");
  EXPECT_EQ(answer("SELECT created_at LIKE '____-__-__ __:__:__.______' FROM modelregistry"), "1");
  EXPECT_EQ(
      answer(
          "SELECT abs(strftime('%s', created_at) - strftime('%s', 'now')) < 60 FROM modelregistry"),
      "1");
}

TEST_F(RegistryTest, TheFileIsInWriteAheadMode) { EXPECT_EQ(answer("PRAGMA journal_mode"), "wal"); }

TEST_F(RegistryTest, UnreadableTimesAreAbsentAndTheRowStays) {
  add("a");
  sql("UPDATE modelregistry SET last_loaded = 'yesterday', created_at = 'long ago'");
  auto const model = registry_->find("a");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->last_loaded, std::nullopt);
  EXPECT_EQ(model->created_at, UtcTime{});
}

TEST_F(RegistryTest, TheOwnersWordsChangeFieldByField) {
  auto const id = add("m").id;
  ConfigChange change;
  change.load_config = R"({"context": 512})";
  change.compatibility_notes = "mine";
  ASSERT_TRUE(registry_->set_config(id, change));
  change = {};
  change.compatibility_notes = std::optional<std::string>();
  auto const model = registry_->set_config(id, change);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->load_config, R"({"context": 512})");
  EXPECT_EQ(model->compatibility_notes, std::nullopt);
  EXPECT_EQ(model->compatibility_status, "unknown");
  EXPECT_EQ(registry_->set_config(id + 1, change).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace homelab::registry
