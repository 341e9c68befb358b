#pragma once
// A model folder small enough to be seen through: element i of every tensor is i (in BF16), so that
// moved rows and changed values can be seen.
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "loader/model_plan.h"
#include "support/temp_dir.h"

namespace homelab::loader {

class SmallModel {
 public:
  explicit SmallModel(std::string config) : config_(std::move(config)) {}

  void tensor(std::string const& name, std::vector<std::uint64_t> const& shape) {
    std::uint64_t count = 1;
    for (auto const size : shape) count *= size;
    header_[name] = json::object{{"dtype", "BF16"},
                                 {"shape", json::array(shape.begin(), shape.end())},
                                 {"data_offsets", {data_.size(), data_.size() + 2 * count}}};
    for (std::uint64_t i = 0; i < count; ++i) {
      auto const value = static_cast<float>(i);
      data_.append(reinterpret_cast<char const*>(&value) + 2,
                   2);  // the upper half of a float is its BF16
    }
  }

  void write() const {
    auto const text = json::serialize(header_);
    std::uint64_t const length = text.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    folder.write("model.safetensors", bytes + text + data_);
    folder.write("config.json", config_);
    folder.write("tokenizer.json",
                 R"({"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},"normalizer":null,
                 "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}})");
  }

  test::TempDir folder;

 private:
  std::string config_;
  json::object header_;
  std::string data_;
};

inline PlannedTensor const& named(ModelPlan const& plan, std::string_view name) {
  for (auto const& tensor : plan.tensors())
    if (tensor.name == name) return tensor;
  throw std::runtime_error("no such tensor");
}

template <class T>
std::vector<T> content(PlannedTensor const& tensor) {
  std::vector<T> values(tensor.bytes / sizeof(T));
  if (!ModelPlan::materialise(tensor, std::as_writable_bytes(std::span(values))))
    throw std::runtime_error("cannot be read");
  return values;
}

inline float widened(std::uint16_t value) {
  std::uint32_t const bits = static_cast<std::uint32_t>(value) << 16U;
  float result = 0;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

inline std::string read_all(std::FILE* file, std::size_t piece) {
  std::string all;
  std::string buffer(piece, '\0');
  for (std::size_t got = 0; (got = std::fread(buffer.data(), 1, piece, file)) > 0;)
    all.append(buffer, 0, got);
  return all;
}

}  // namespace homelab::loader
