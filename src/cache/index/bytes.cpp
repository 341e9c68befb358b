#include "bytes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace homelab::cache::index {
namespace {

constexpr unsigned kWord = 8;
constexpr std::string_view kDigits = "0123456789abcdef";

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
unsigned value_of(char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); }

/// The two digits of each byte: a list of many repositories writes out every blob's name.
constexpr std::array<std::array<char, 2>, 256> kDigitPairs = [] {
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t byte = 0; byte < pairs.size(); ++byte)
    pairs.at(byte) = {kDigits[byte >> 4U], kDigits[byte & 0xfU]};
  return pairs;
}();

/// Eight bytes, lowest first.
std::uint64_t word_at(char const* bytes) {
  std::uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&word, bytes, kWord);
    return word;
  }
  for (unsigned i = 0; i < kWord; ++i)
    word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8U * i);
  return word;
}

}  // namespace

std::uint64_t sum_of(std::string_view bytes) {
  std::uint64_t sum = bytes.size();
  for (; bytes.size() >= kWord; bytes.remove_prefix(kWord)) sum = mix(sum, word_at(bytes.data()));
  for (char const c : bytes) sum = mix(sum, static_cast<unsigned char>(c));
  return sum;
}

void ByteWriter::number(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>((value & 0x7fU) | 0x80U);
  bytes_ += static_cast<char>(value);
}

void ByteWriter::fixed(std::uint64_t value) {
  for (unsigned i = 0; i < kWord; ++i) bytes_ += static_cast<char>((value >> (8U * i)) & 0xffU);
}

void ByteWriter::text(std::string_view value) {
  bool const hex = !value.empty() && value.size() % 2 == 0 && std::ranges::all_of(value, is_hex);
  number(value.size() * 2 + (hex ? 1U : 0U));
  if (!hex) {
    bytes_ += value;
    return;
  }
  for (std::size_t i = 0; i < value.size(); i += 2)
    bytes_ += static_cast<char>(value_of(value[i]) * 16 + value_of(value[i + 1]));
}

std::uint64_t ByteReader::number() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) break;
    auto const byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    std::uint64_t const part = std::uint64_t{byte & 0x7fU} << shift;
    // Only the shortest form is one that was written.
    if (part >> shift != (byte & 0x7fU) || (byte == 0 && shift > 0)) break;
    value |= part;
    if (byte < 0x80) return value;
  }
  fail();
  return 0;
}

std::uint64_t ByteReader::fixed() {
  if (rest_.size() < kWord) {
    fail();
    return 0;
  }
  std::uint64_t const value = word_at(rest_.data());
  rest_.remove_prefix(kWord);
  return value;
}

std::string ByteReader::text(std::size_t max_bytes) {
  std::uint64_t const head = number();
  bool const hex = head % 2 == 1;
  std::uint64_t const size = head / 2;
  std::uint64_t const stored = hex ? size / 2 : size;
  if (!good_ || size > max_bytes || stored > rest_.size() ||
      (hex && (size == 0 || size % 2 == 1))) {
    fail();
    return {};
  }
  std::string out;
  std::string_view const bytes = rest_.substr(0, stored);
  rest_.remove_prefix(stored);
  if (!hex) return std::string(bytes);
  out.resize(size);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto const& pair = kDigitPairs[static_cast<unsigned char>(bytes[i])];
    std::memcpy(&out[2 * i], pair.data(), pair.size());
  }
  return out;
}

std::size_t ByteReader::count() {
  std::uint64_t const value = number();
  if (value <= rest_.size()) return value;
  fail();
  return 0;
}

void ByteReader::fail() {
  good_ = false;
  rest_ = {};
}

}  // namespace homelab::cache::index
