#pragma once
// Numbers and texts of the index as bytes, and a fast 64-bit sum over them. The sum notices damage
// and change; it is no defence against an attacker, who could as well write the file anew.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homelab::cache::index {

/// One more number into a running sum.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t sum, std::uint64_t value) {
  constexpr std::uint64_t kFirst = 0x9e3779b97f4a7c15;
  constexpr std::uint64_t kSecond = 0xbf58476d1ce4e5b9;
  std::uint64_t x = (sum ^ (value * kFirst)) * kSecond;
  x ^= x >> 29U;
  return x + kFirst;
}
[[nodiscard]] std::uint64_t sum_of(std::string_view bytes);

class ByteWriter {
 public:
  void number(std::uint64_t value);  ///< small numbers take few bytes
  void fixed(std::uint64_t value);   ///< eight bytes, lowest first
  /// Lower-case hexadecimal text takes half of its bytes.
  void text(std::string_view value);
  [[nodiscard]] std::string const& bytes() const { return bytes_; }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Reads what ByteWriter wrote. After the first thing that cannot be it gives zeros and empty
/// texts, and good() is false.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] std::uint64_t number();
  [[nodiscard]] std::uint64_t fixed();
  [[nodiscard]] std::string text(std::size_t max_bytes);
  /// A number of things of which each takes a byte at least.
  [[nodiscard]] std::size_t count();
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool at_end() const { return good_ && rest_.empty(); }
  void fail();

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace homelab::cache::index
