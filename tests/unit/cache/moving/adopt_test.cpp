#include "cache/adopt.h"

#include <sys/stat.h>

#include "../hub_fixture.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

class AdoptTest : public ::testing::Test {
 protected:
  static RepoId repo() { return RepoId::parse("org/name").value(); }
  [[nodiscard]] Path hub() const { return dir_ / "hf/hub"; }
  Result<AdoptReport> adopt(Path const& source, AdoptOptions const& options = {}) {
    auto const found = recognise_source(source, repo());
    if (!found) return fail(found.error());
    return adopt_model(hub(), found->models.front(), options);
  }
  static ino_t inode(Path const& path) {
    struct stat found{};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
    return found.st_ino;
  }
  test::TempDir dir_;
};

TEST_F(AdoptTest, NamesTheBlobAsTheHubWould) {
  dir_.write("m/model.gguf", "GGUF and more");
  dir_.write("m/config.json", "{}");
  auto const report = adopt(dir_ / "m");
  ASSERT_TRUE(report) << why(report);
  ASSERT_EQ(report->files.size(), 2U);
  EXPECT_EQ(report->files[0].blob, git_name("{}"));
  EXPECT_EQ(report->files[1].blob, sha_name("GGUF and more"));
  RepoFolder const folder(hub(), repo());
  EXPECT_EQ(folder.read_ref(Revision::main()).value(), *report->commit);
  auto const tree = folder.read_tree(*report->commit).value();
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->find("model.gguf")->blob_name().value(), sha_name("GGUF and more"));
  EXPECT_EQ(folder.snapshot(*report->commit)->dangling.size(), 0U);
}

TEST_F(AdoptTest, TheCommitDependsOnTheListingAlone) {
  dir_.write("a/model.gguf", "GGUF1");
  dir_.write("b/model.gguf", "GGUF1");
  dir_.write("c/model.gguf", "GGUF2");
  auto const a = adopt(dir_ / "a").value().commit;
  fs::remove_all(dir_ / "hf");
  auto const b = adopt(dir_ / "b").value().commit;
  fs::remove_all(dir_ / "hf");
  auto const c = adopt(dir_ / "c").value().commit;
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST_F(AdoptTest, MovesTheFileItself) {
  auto const source = dir_.write("model.gguf", "GGUF");
  ino_t const before = inode(source);
  AdoptOptions options;
  options.move = true;
  auto const report = adopt(source, options);
  ASSERT_TRUE(report) << why(report);
  EXPECT_FALSE(fs::exists(source));
  EXPECT_EQ(inode(RepoFolder(hub(), repo()).blob_path(sha_name("GGUF"))), before);
}

TEST_F(AdoptTest, RefusesToMoveWhatAnotherProgramNeeds) {
  auto const source = dir_.write("model.gguf", "GGUF");
  AdoptModel const model{repo(), {{source, RepoPath::parse("model.gguf").value()}}, false};
  AdoptOptions options;
  options.move = true;
  EXPECT_EQ(adopt_model(hub(), model, options).error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(fs::exists(source));
}

TEST_F(AdoptTest, StopsBetweenPiecesAndLeavesNothingUnderAName) {
  auto const source = dir_.write("model.gguf", "GGUF");
  AdoptOptions options;
  options.stop = [] { return true; };
  EXPECT_EQ(adopt(source, options).error().code, Code::kCancelled);
  EXPECT_TRUE(fs::is_empty(hub() / "models--org--name/blobs"));
}

TEST_F(AdoptTest, PassesOverPipesAndEndlessLinks) {
  dir_.write("m/model.gguf", "GGUF");
  ASSERT_EQ(::mkfifo((dir_ / "m/pipe.json").c_str(), 0600), 0);
  fs::create_symlink("loop.json", dir_ / "m/loop.json");
  fs::create_directory_symlink(".", dir_ / "m/again");
  auto const found = recognise_source(dir_ / "m", repo());
  ASSERT_TRUE(found) << why(found);
  EXPECT_EQ(found->models.front().files.size(), 1U);
  EXPECT_EQ(found->remarks.size(), 3U);
}

TEST_F(AdoptTest, SaysThatNothingIsThereToAdopt) {
  dir_.write("m/readme.txt", "x");
  EXPECT_EQ(recognise_source(dir_ / "none", repo()).error().code, Code::kNotFound);
  EXPECT_EQ(recognise_source(dir_ / "m", repo()).error().code, Code::kInvalidArgument);
  EXPECT_EQ(recognise_source(dir_ / "m/readme.txt", repo()).error().code, Code::kInvalidArgument);
  EXPECT_EQ(recognise_source(dir_ / "m", std::nullopt).error().code, Code::kInvalidArgument);
}

TEST(OllamaManifest, GivesTheLayersThatAreGguf) {
  std::string const hash(64, 'a');
  auto const layers = parse_ollama_manifest(
      R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" + hash +
      R"("},{"mediaType":"application/vnd.ollama.image.template","digest":"x"},)"
      R"({"mediaType":"application/vnd.ollama.image.projector","digest":"sha256:)" +
      hash + R"("}]})");
  ASSERT_TRUE(layers) << why(layers);
  ASSERT_EQ(layers->size(), 2U);
  EXPECT_EQ((*layers)[0].sha256, hash);
  EXPECT_FALSE((*layers)[0].projector);
  EXPECT_TRUE((*layers)[1].projector);
}

TEST(OllamaManifest, RefusesWhatCouldLeadElsewhere) {
  std::string const model = R"({"layers":[{"mediaType":"application/vnd.ollama.image.model",)";
  for (std::string const& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string(R"({"layers":{}})"),
        std::string(R"({"layers":[1]})"), model + R"("digest":"sha256:../../../etc/passwd"}]})",
        model + R"("digest":")" + std::string(64, 'a') + R"("}]})", model + R"("digest":1}]})",
        model + R"("digest":"sha256:)" + std::string(40, 'a') + R"("}]})", model + R"("x":1}]})",
        std::string(1000, '[')})
    EXPECT_EQ(parse_ollama_manifest(text).error().code, Code::kDataLoss) << text;
}

}  // namespace
}  // namespace homelab::cache
