#include "cache/names.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace homelab::cache {
namespace {

std::string const kHex40(40, 'a');
std::string const kHex64(64, '0');

TEST(RepoIdTest, AcceptsNamesWithAndWithoutOrganisation) {
  for (auto const* text : {"gpt2", "org/name", "HuggingFaceTB/SmolLM2-135M_v1.0", "a/b", "0/9"}) {
    auto const id = RepoId::parse(text);
    ASSERT_TRUE(id) << text;
    EXPECT_EQ(id->text(), text);
  }
}

TEST(RepoIdTest, RefusesEverythingThatCouldLeaveItsFolder) {
  for (std::string const& text :
       {std::string(),          std::string("/"),         std::string("a/"),
        std::string("/b"),      std::string("a/b/c"),     std::string(".."),
        std::string("../x"),    std::string("a/.."),      std::string("a..b"),
        std::string("a--b"),    std::string("-a"),        std::string("a-"),
        std::string(".a"),      std::string("a."),        std::string("org/-a"),
        std::string("org-/a"),  std::string("a b"),       std::string("a\\b"),
        std::string("a\nb"),    std::string("a%2Fb"),     std::string("n\xc3\xa4me"),
        std::string("a\0b", 3), std::string("org/x.git"), std::string(97, 'a')}) {
    auto const id = RepoId::parse(text);
    EXPECT_FALSE(id) << text;
    if (!id) {
      EXPECT_EQ(id.error().code, Code::kInvalidArgument);
    }
  }
  EXPECT_TRUE(RepoId::parse(std::string(96, 'a')));
}

TEST(RepoIdTest, ErrorsNameTheInputWithoutControlCharacters) {
  auto const id = RepoId::parse("bad\nname");
  ASSERT_FALSE(id);
  EXPECT_NE(id.error().message.find("bad?name"), std::string::npos) << id.error().message;
}

TEST(RepoIdTest, FolderNamesGoBothWays) {
  EXPECT_EQ(RepoId::parse("org/name")->folder_name(), "models--org--name");
  EXPECT_EQ(RepoId::from_folder_name("models--org--name")->text(), "org/name");
  EXPECT_EQ(RepoId::from_folder_name("models--gpt2")->text(), "gpt2");
  for (auto const* folder : {"datasets--org--name", "models--", "models--org--a--b", "models",
                             "models--a---b", "models----a", "models--..--x", "models--org--"}) {
    EXPECT_FALSE(RepoId::from_folder_name(folder)) << folder;
  }
}

RC_GTEST_PROP(RepoIdProperty, EveryValidIdComesBackFromItsFolderName, ()) {
  auto const letter = rc::gen::elementOf(std::string("abcXYZ019._-"));
  auto const part = rc::gen::nonEmpty(rc::gen::container<std::string>(letter));
  std::string const text = *part + (*rc::gen::arbitrary<bool>() ? "/" + *part : "");
  auto const id = RepoId::parse(text);
  RC_PRE(id.has_value());
  auto const back = RepoId::from_folder_name(id->folder_name());
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == *id);
}

TEST(CommitHashTest, IsFortyLowerCaseHexDigits) {
  EXPECT_TRUE(CommitHash::parse(kHex40));
  for (std::string const& text : {std::string(), kHex40 + "a", kHex40.substr(1), kHex40 + "\n",
                                  std::string(40, 'A'), std::string(40, 'g')}) {
    EXPECT_FALSE(CommitHash::parse(text)) << text;
  }
}

TEST(RevisionTest, AcceptsBranchesTagsPullRequestsAndCommits) {
  for (auto const* text : {"main", "v1.0", "refs/pr/1", "feat/nested/deep", "2f22765", "HEAD",
                           "na\xc3\xafve", "a b"}) {
    EXPECT_TRUE(Revision::parse(text)) << text;
  }
  EXPECT_TRUE(Revision::parse(kHex40)->is_commit());
  EXPECT_FALSE(Revision::parse("2f22765")->is_commit());
  EXPECT_FALSE(Revision::main().is_commit());
  EXPECT_EQ(Revision::main().text(), "main");
}

TEST(RevisionTest, RefusesWhatWouldLeaveRefsOrCollideWithTemporaries) {
  for (std::string const& text :
       {std::string(), std::string("/main"), std::string("main/"), std::string("a//b"),
        std::string("../../../x"), std::string("a/../b"), std::string("./a"), std::string("a\\b"),
        std::string("a\nb"), std::string("a\x7f"), std::string("a\0b", 3), std::string("main.lock"),
        std::string("main.1234abcd.tmp"), std::string("x.tmp/y"), std::string(256, 'a'),
        std::string("\xff\xfe")}) {
    EXPECT_FALSE(Revision::parse(text)) << text;
  }
}

TEST(BlobNameTest, AcceptsGitIdsAndSha256Only) {
  EXPECT_FALSE(BlobName::parse(kHex40)->is_sha256());
  EXPECT_TRUE(BlobName::parse(kHex64)->is_sha256());
  for (std::string const& text : {std::string(), std::string("abc"), std::string(64, 'F'),
                                  kHex64.substr(1), kHex64 + "0", std::string("../") + kHex40}) {
    EXPECT_FALSE(BlobName::parse(text)) << text;
  }
}

TEST(BlobNameTest, EtagsLoseWeakMarkAndQuotes) {
  EXPECT_EQ(BlobName::from_etag("\"" + kHex64 + "\"")->text(), kHex64);
  EXPECT_EQ(BlobName::from_etag("W/\"" + kHex40 + "\"")->text(), kHex40);
  EXPECT_EQ(BlobName::from_etag(kHex40)->text(), kHex40);
}

TEST(BlobNameTest, ForeignAndHostileEtagsAreABadEndpoint) {
  for (std::string const& etag :
       {std::string("\"../../../../tmp/x\""), std::string("\"\""), std::string(),
        "\"" + kHex40 + "-12\"", std::string("W/"), "\"" + kHex40 + "\n\""}) {
    auto const name = BlobName::from_etag(etag);
    ASSERT_FALSE(name) << etag;
    EXPECT_NE(name.error().message.find("endpoint"), std::string::npos);
  }
}

TEST(RepoPathTest, AcceptsWhatRepositoriesReallyHold) {
  for (auto const* text :
       {"config.json", "a/b/c.gguf", "dir with space/f\xc3\xafle \xc3\xa9+#%&?.txt",
        ".gitattributes", "..a", "a..", "...", "onnx/model.onnx_data"}) {
    EXPECT_TRUE(RepoPath::parse(text)) << text;
  }
  EXPECT_EQ(RepoPath::parse("a/b.gguf")->extension(), "gguf");
  EXPECT_EQ(RepoPath::parse("a.x/b")->extension(), "");
  EXPECT_EQ(RepoPath::parse(".gitattributes")->extension(), "");
  EXPECT_EQ(RepoPath::parse("a/b/c.tar.gz")->extension(), "gz");
  EXPECT_EQ(RepoPath::parse("a/b/c.tar.gz")->file_name(), "c.tar.gz");
}

TEST(RepoPathTest, RefusesEverythingThatCouldEscape) {
  for (std::string const& text : {std::string(),           std::string("/etc/passwd"),
                                  std::string("a//b"),     std::string("a/"),
                                  std::string("."),        std::string("./a"),
                                  std::string(".."),       std::string("../a"),
                                  std::string("a/../b"),   std::string("a/.."),
                                  std::string("..\\a"),    std::string("a\\..\\b"),
                                  std::string("a/..\\b"),  std::string("\\\\host\\share"),
                                  std::string("C:\\x"),    std::string("c:x"),
                                  std::string("a\nb"),     std::string("a\0b", 3),
                                  std::string("\xc3\x28"), std::string(256, 'a'),
                                  std::string("a\x7f")}) {
    EXPECT_FALSE(RepoPath::parse(text)) << text;
  }
  std::string deep;
  while (deep.size() < 1020) deep += "abcd/";
  EXPECT_TRUE(RepoPath::parse(deep.substr(0, 1019)));
  EXPECT_FALSE(RepoPath::parse(deep + "abcdef"));
}

RC_GTEST_PROP(RepoPathProperty, AParsedPathNeverEscapes, ()) {
  auto const piece = rc::gen::elementOf(std::vector<std::string>{"a", "b.txt", "..", ".", "/", "\\",
                                                                 "//", "C:", "~", " ", "\n", "...",
                                                                 "%2e%2e", "\xc3\xa9", "\xff"});
  std::string text;
  for (auto const& part : *rc::gen::container<std::vector<std::string>>(piece)) text += part;
  auto const path = RepoPath::parse(text);
  if (!path) return;
  namespace fs = std::filesystem;
  fs::path const root = "/root/of/snapshot";
  fs::path const joined = (root / path->text()).lexically_normal();
  auto const [end, ignored] = std::mismatch(root.begin(), root.end(), joined.begin(), joined.end());
  RC_ASSERT(end == root.end());
  RC_ASSERT(joined != root);
  RC_ASSERT(joined.string().size() == root.string().size() + 1 + text.size());
  RC_ASSERT(text.find('\0') == std::string::npos);
}

RC_GTEST_PROP(RepoPathProperty, AnyBytesAreAnsweredAndNeverChanged, (std::string const& text)) {
  if (auto const path = RepoPath::parse(text)) RC_ASSERT(path->text() == text);
  if (auto const revision = Revision::parse(text)) RC_ASSERT(revision->text() == text);
}

TEST(ModelReferenceTest, UnderstandsEveryFormThatPeopleType) {
  auto const plain = ModelReference::parse("org/name");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->repo.text(), "org/name");
  EXPECT_EQ(plain->revision, Revision::main());
  EXPECT_EQ(plain->variant, "");
  EXPECT_EQ(ModelReference::parse("org/name@refs/pr/1")->revision.text(), "refs/pr/1");
  EXPECT_EQ(ModelReference::parse("org/name:Q4_K_M")->variant, "Q4_K_M");
  EXPECT_EQ(ModelReference::parse("org/name:sub/file.gguf")->variant, "sub/file.gguf");
  auto const both = ModelReference::parse(" hf.co/org/name@v1:Q8_0 ");
  ASSERT_TRUE(both);
  EXPECT_EQ(both->repo.text(), "org/name");
  EXPECT_EQ(both->revision.text(), "v1");
  EXPECT_EQ(both->variant, "Q8_0");
  EXPECT_EQ(ModelReference::parse("https://huggingface.co/org/name")->repo.text(), "org/name");
}

TEST(ModelReferenceTest, RefusesEmptyAndEscapingParts) {
  for (auto const* text : {"", "org/name@", "org/name:", "org/name@../x", "org/name:../x",
                           "org/name/blob/main/x", "@main", ":Q4"}) {
    EXPECT_FALSE(ModelReference::parse(text)) << text;
  }
}

}  // namespace
}  // namespace homelab::cache
