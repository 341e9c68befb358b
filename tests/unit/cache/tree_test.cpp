#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "cache/hub_folder.h"

namespace homelab::cache {
namespace {

std::string const kOid(40, 'a');
std::string const kSha(64, 'b');
std::string const kXet(64, 'd');

TreeFile file(std::string_view path, std::uint64_t size) {
  return {RepoPath::parse(path).value(), size, kOid, std::nullopt, std::nullopt};
}

// The text is what Python's json.dump(data, f, indent=1) gives for the same listing.
TEST(TreeJsonTest, IsWrittenAsThePythonClientWritesIt) {
  TreeFile big = file("w\xc3\xa4hle \xf0\x9f\x98\x80.gguf", 12);
  big.lfs_sha256 = kSha;
  big.xet_hash = kXet;
  Tree const tree{{file("config.json", 0), big}};
  EXPECT_EQ(to_tree_json(tree),
            "{\n \"format_version\": 1,\n \"files\": {\n"
            "  \"config.json\": {\n   \"size\": 0,\n   \"blob_id\": \"" +
                kOid +
                "\"\n  },\n"
                "  \"w\\u00e4hle \\ud83d\\ude00.gguf\": {\n   \"size\": 12,\n   \"blob_id\": \"" +
                kOid + "\",\n   \"lfs_sha256\": \"" + kSha +
                "\",\n   \"lfs_size\": 12,\n   \"xet_hash\": \"" + kXet + "\"\n  }\n }\n}");
  EXPECT_EQ(to_tree_json({}), "{\n \"format_version\": 1,\n \"files\": {}\n}");
}

TEST(TreeJsonTest, ComesBackAsItWasAndSorted) {
  Tree const tree{{file("z", 1), file("a/b", 2), file("a", 3)}};
  auto const back = parse_tree_json(to_tree_json(tree));
  ASSERT_TRUE(back);
  ASSERT_TRUE(*back);
  ASSERT_EQ((*back)->files.size(), 3U);
  EXPECT_EQ((*back)->files[0].path.text(), "a");
  EXPECT_EQ((*back)->files[2].path.text(), "z");
  ASSERT_NE((*back)->find("a/b"), nullptr);
  EXPECT_EQ((*back)->find("a/b")->size_bytes, 2U);
  EXPECT_EQ((*back)->find("b"), nullptr);
  EXPECT_EQ((*back)->find(""), nullptr);
}

TEST(TreeJsonTest, UnknownVersionsAreIgnored) {
  auto const newer = parse_tree_json(R"({"format_version": 2, "files": []})");
  ASSERT_TRUE(newer);
  EXPECT_FALSE(*newer);
}

TEST(TreeJsonTest, MalformedTextIsDataLoss) {
  std::string const good = R"({"size":1,"blob_id":")" + kOid + "\"}";
  auto const with = [](std::string const& path, std::string const& info) {
    return R"({"format_version": 1, "files": {")" + path + "\": " + info + "}}";
  };
  ASSERT_TRUE(parse_tree_json(with("a", good)));
  for (std::string const& text :
       {std::string(), std::string("[]"), std::string("{\"format_version\": 1}"),
        std::string(R"({"format_version": 1, "files": [1]})"), with("../a", good), with("", good),
        with("a", "1"), with("a", R"({"blob_id":")" + kOid + "\"}"),
        with("a", R"({"size":-1,"blob_id":")" + kOid + "\"}"), with("a", R"({"size":1})"),
        with("a", R"({"size":1,"blob_id":"../x"})"),
        with("a", R"({"size":1,"lfs_sha256":"zz","blob_id":")" + kOid + "\"}"),
        with("a", R"({"size":1,"xet_hash":"zz","blob_id":")" + kOid + "\"}"),
        with("a", good).substr(0, 40)}) {
    auto const tree = parse_tree_json(text);
    ASSERT_FALSE(tree) << text;
    EXPECT_EQ(tree.error().code, Code::kDataLoss);
  }
}

TEST(TreeJsonTest, TheBlobOfAnLfsFileIsNamedByItsSha256) {
  TreeFile one = file("a", 1);
  EXPECT_EQ(one.blob_name()->text(), kOid);
  one.lfs_sha256 = kSha;
  EXPECT_EQ(one.blob_name()->text(), kSha);
  one.lfs_sha256 = "nonsense";
  EXPECT_FALSE(one.blob_name());
}

RC_GTEST_PROP(TreeJsonProperty, AnyListingSurvivesTheRoundTrip,
              (std::vector<std::string> const& names)) {
  Tree tree;
  for (auto const& name : names) {
    auto path = RepoPath::parse(name);
    if (!path || tree.find(name)) continue;
    tree.files.push_back({std::move(*path), name.size(), kOid, std::nullopt, std::nullopt});
    std::ranges::sort(tree.files, {}, &TreeFile::path);
  }
  auto const back = parse_tree_json(to_tree_json(tree));
  RC_ASSERT(back.has_value());
  RC_ASSERT(back->has_value());
  RC_ASSERT((*back)->files == tree.files);
}

}  // namespace
}  // namespace homelab::cache
