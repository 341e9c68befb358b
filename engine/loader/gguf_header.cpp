#include "loader/gguf_header.h"

#include <cstring>

namespace homelab::loader {
namespace {

constexpr std::uint32_t kVersion = 3;
// Value types of the format.
constexpr std::uint32_t kUint32 = 4;
constexpr std::uint32_t kInt32 = 5;
constexpr std::uint32_t kFloat32 = 6;
constexpr std::uint32_t kBool = 7;
constexpr std::uint32_t kString = 8;
constexpr std::uint32_t kArray = 9;

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint64_t>(text.size()));
  out += text;
}

}  // namespace

void GgufHeader::key(std::string_view name, std::uint32_t type) {
  put_text(pair_bytes_, name);
  put(pair_bytes_, type);
  ++pairs_;
}

void GgufHeader::set(std::string_view name, std::string_view text) {
  key(name, kString);
  put_text(pair_bytes_, text);
}

void GgufHeader::set(std::string_view name, std::uint32_t number) {
  key(name, kUint32);
  put(pair_bytes_, number);
}

void GgufHeader::set(std::string_view name, float number) {
  key(name, kFloat32);
  put(pair_bytes_, number);
}

void GgufHeader::set(std::string_view name, bool flag) {
  key(name, kBool);
  put(pair_bytes_, static_cast<std::uint8_t>(flag ? 1 : 0));
}

void GgufHeader::set(std::string_view name, std::vector<std::string> const& texts) {
  key(name, kArray);
  put(pair_bytes_, kString);
  put(pair_bytes_, static_cast<std::uint64_t>(texts.size()));
  for (auto const& text : texts) put_text(pair_bytes_, text);
}

void GgufHeader::set(std::string_view name, std::vector<std::int32_t> const& numbers) {
  key(name, kArray);
  put(pair_bytes_, kInt32);
  put(pair_bytes_, static_cast<std::uint64_t>(numbers.size()));
  for (auto const number : numbers) put(pair_bytes_, number);
}

void GgufHeader::set(std::string_view name, std::vector<float> const& numbers) {
  key(name, kArray);
  put(pair_bytes_, kFloat32);
  put(pair_bytes_, static_cast<std::uint64_t>(numbers.size()));
  for (auto const number : numbers) put(pair_bytes_, number);
}

void GgufHeader::add_tensor(std::string_view name, std::vector<std::uint64_t> const& dimensions,
                            GgmlType type, std::uint64_t offset) {
  put_text(tensor_bytes_, name);
  put(tensor_bytes_, static_cast<std::uint32_t>(dimensions.size()));
  for (auto const dimension : dimensions) put(tensor_bytes_, dimension);
  put(tensor_bytes_, static_cast<std::uint32_t>(type));
  put(tensor_bytes_, offset);
  ++tensors_;
}

std::string GgufHeader::bytes() const {
  std::string out = "GGUF";
  put(out, kVersion);
  put(out, tensors_);
  put(out, pairs_);
  out += pair_bytes_;
  out += tensor_bytes_;
  out.resize(align_up(out.size()), '\0');
  return out;
}

}  // namespace homelab::loader
