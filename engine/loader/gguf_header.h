#pragma once
// Writes the front part of a GGUF file (version 3, little-endian): key-value pairs and tensor
// descriptions.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace homelab::loader {

/// The tensor types this loader produces (llama.cpp's numbers).
enum class GgmlType : std::uint32_t { kF32 = 0, kF16 = 1, kBf16 = 30 };

/// Every tensor, and the data as a whole, begins at a multiple of this.
constexpr std::uint64_t kGgufAlignment = 32;

[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t offset) {
  return (offset + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

/// Collects the pairs and tensors in the order they are given. Keys must differ; this is not
/// checked.
class GgufHeader {
 public:
  void set(std::string_view key, std::string_view text);
  void set(std::string_view key, char const* text) { set(key, std::string_view(text)); }
  void set(std::string_view key, std::uint32_t number);
  void set(std::string_view key, float number);
  void set(std::string_view key, bool flag);
  void set(std::string_view key, std::vector<std::string> const& texts);
  void set(std::string_view key, std::vector<std::int32_t> const& numbers);
  void set(std::string_view key, std::vector<float> const& numbers);

  /// `dimensions` fastest first; `offset` from the start of the data.
  void add_tensor(std::string_view name, std::vector<std::uint64_t> const& dimensions,
                  GgmlType type, std::uint64_t offset);

  /// The whole front part, padded so that the data may follow.
  [[nodiscard]] std::string bytes() const;

 private:
  void key(std::string_view name, std::uint32_t type);

  std::uint64_t pairs_ = 0;
  std::uint64_t tensors_ = 0;
  std::string pair_bytes_;
  std::string tensor_bytes_;
};

}  // namespace homelab::loader
