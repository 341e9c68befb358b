#include "loader/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "support/temp_dir.h"

namespace homelab::loader {
namespace {

Result<std::vector<TensorInfo>> parse(std::string_view header, std::uint64_t data_bytes = 24) {
  return parse_safetensors_header(header, data_bytes);
}

std::string why(std::string_view header, std::uint64_t data_bytes = 24) {
  auto const parsed = parse(header, data_bytes);
  EXPECT_FALSE(parsed.has_value());
  if (parsed) return {};
  EXPECT_EQ(parsed.error().code, Code::kDataLoss);
  return parsed.error().message;
}

std::string file_of(std::string_view header, std::string_view data) {
  std::uint64_t const length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(header).append(data);
}

constexpr char kTwo[] =
    R"({"b":{"dtype":"BF16","shape":[2,4],"data_offsets":[8,24]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

TEST(SafetensorsHeader, ListsTensorsInTheOrderOfTheirBytes) {
  auto const tensors = parse(kTwo);
  ASSERT_TRUE(tensors) << tensors.error().message;
  ASSERT_EQ(tensors->size(), 2U);
  EXPECT_EQ((*tensors)[0].name, "a");
  EXPECT_EQ((*tensors)[1].name, "b");
  EXPECT_EQ((*tensors)[1].elements(), 8U);
  EXPECT_EQ((*tensors)[1].shape, (std::vector<std::uint64_t>{2, 4}));
}

TEST(SafetensorsHeader, AllowsSpacesBehindAndMetadata) {
  EXPECT_TRUE(parse(R"({"__metadata__":{"format":"pt"}}   )", 0));
}

TEST(SafetensorsHeader, AllowsScalarsAndEmptyTensors) {
  auto const tensors = parse(
      R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"e":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]}})",
      4);
  ASSERT_TRUE(tensors) << tensors.error().message;
  EXPECT_EQ((*tensors)[1].elements(), 1U);
}

TEST(SafetensorsHeader, RefusesBytesOutsideTheData) {
  EXPECT_NE(why(R"({"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}})").find("'a'"),
            std::string::npos);
  EXPECT_NE(why(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})").find("not inside"),
            std::string::npos);
}

TEST(SafetensorsHeader, RefusesALengthThatDoesNotFitTheShape) {
  EXPECT_NE(why(R"({"a":{"dtype":"F32","shape":[5],"data_offsets":[0,24]}})").find("need 20"),
            std::string::npos);
}

TEST(SafetensorsHeader, RefusesOverlapsAndHoles) {
  EXPECT_NE(
      why(R"({"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[16],"data_offsets":[8,24]}})")
          .find("overlaps"),
      std::string::npos);
  EXPECT_NE(
      why(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[16,24]}})")
          .find("hole"),
      std::string::npos);
}

TEST(SafetensorsHeader, RefusesDataThatNoTensorDescribes) {
  EXPECT_NE(why(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})").find("describes 8"),
            std::string::npos);
}

TEST(SafetensorsHeader, RefusesShapesWhoseProductOverflows) {
  EXPECT_NE(why(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,24]}})")
                .find("too large"),
            std::string::npos);
}

TEST(SafetensorsHeader, RefusesWhatIsNotAWholeNumber) {
  for (auto const* shape : {"[-1]", "[1.5]", "[\"1\"]", "[null]", "[1e300]"}) {
    auto const header =
        std::string(R"({"a":{"dtype":"U8","data_offsets":[0,24],"shape":)") + shape + "}}";
    EXPECT_NE(why(header).find("whole numbers"), std::string::npos) << shape;
  }
}

TEST(SafetensorsHeader, RefusesUnknownTypesByName) {
  EXPECT_NE(why(R"({"a":{"dtype":"Q9","shape":[24],"data_offsets":[0,24]}})").find("'Q9'"),
            std::string::npos);
}

TEST(SafetensorsHeader, RefusesOtherJson) {
  for (auto const* text :
       {"", "[]", "1", "{", R"({"a":1})", R"({"a":{}})", R"({"a":{"dtype":"U8","shape":[24]}})",
        R"({"a":{"dtype":"U8","shape":[24],"data_offsets":[0]}})",
        R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,24],"data_offsets":[0,24]}})"})
    EXPECT_FALSE(why(text).empty()) << text;
}

TEST(SafetensorsFile, ReadsTheBytesOfATensor) {
  test::TempDir const folder;
  std::ofstream(folder / "m") << file_of(kTwo, "aaaaaaaa0123456789abcdef");
  auto const file = SafetensorsFile::open(folder / "m");
  ASSERT_TRUE(file) << file.error().message;
  std::string bytes(4, '\0');
  ASSERT_TRUE(file->read(file->tensors()[1].offset + 2, std::as_writable_bytes(std::span(bytes))));
  EXPECT_EQ(bytes, "2345");
}

TEST(SafetensorsFile, NamesAFileThatIsCutOffAtAnyByte) {
  test::TempDir const folder;
  auto const whole = file_of(kTwo, std::string(24, 'x'));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(folder / "m", std::ios::trunc) << whole.substr(0, length);
    auto const file = SafetensorsFile::open(folder / "m");
    ASSERT_FALSE(file) << length;
    EXPECT_NE(file.error().message.find((folder / "m").string()), std::string::npos);
  }
}

TEST(SafetensorsFile, ReportsAFileThatBecameShorterWhileOpen) {
  test::TempDir const folder;
  std::ofstream(folder / "m") << file_of(kTwo, std::string(24, 'x'));
  auto const file = SafetensorsFile::open(folder / "m");
  ASSERT_TRUE(file);
  std::filesystem::resize_file(folder / "m", 100);
  std::string bytes(24, '\0');
  auto const status = file->read(0, std::as_writable_bytes(std::span(bytes)));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kDataLoss);
}

TEST(SafetensorsFile, DoesNotBelieveAHugeHeaderLength) {
  test::TempDir const folder;
  std::ofstream(folder / "m") << std::string(8, '\xff') << "{}";
  EXPECT_FALSE(SafetensorsFile::open(folder / "m"));
}

}  // namespace
}  // namespace homelab::loader
