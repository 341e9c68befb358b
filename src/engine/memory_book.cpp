#include "memory_book.h"

#include <fmt/format.h>

#include <algorithm>

namespace homelab::engine {
namespace {

constexpr std::size_t kMaxEntries = 1024;
/// Tokens of one batch (llama.cpp's n_ubatch): each needs a row of logits while a graph is sized.
constexpr std::uint64_t kBatchTokens = 512;
constexpr std::uint64_t kLogitBytes = 4;
/// The program itself, its tokenizer and the smaller buffers of a graph.
constexpr std::uint64_t kBaseBytes = 128U << 20U;

}  // namespace

std::string EngineShape::key() const {
  return fmt::format("{} {} {} {}", model_path, context_tokens, gpu_layers, quantised);
}

std::uint64_t quantised_bytes(std::uint64_t parameters, std::string_view type) {
  auto const digit = type.find_first_of("23456789");
  // A scale for a block of weights costs about half a bit for each of them.
  std::uint64_t const half_bits =
      digit == std::string_view::npos ? 32 : 2 * static_cast<std::uint64_t>(type[digit] - '0') + 1;
  return parameters * half_bits / 16;
}

std::uint64_t expected_tokens(std::uint64_t context_tokens, std::uint64_t slots) {
  return std::max(context_tokens, context_tokens * slots / 2);
}

Prediction predict(ModelFacts const& facts, std::uint64_t weight_bytes, std::uint64_t tokens) {
  std::uint64_t const least = weight_bytes + facts.kv_bytes_per_token * tokens;
  return {least + kBatchTokens * kLogitBytes * facts.vocabulary_size + kBaseBytes, least};
}

std::uint64_t MemoryBook::needed_bytes(EngineShape const& shape, Prediction prediction) const {
  std::lock_guard const lock(mutex_);
  auto const found = most_.find(shape.key());
  return found == most_.end() ? prediction.predicted : std::max(found->second, prediction.least);
}

void MemoryBook::measured(std::string const& key, std::uint64_t bytes) {
  std::lock_guard const lock(mutex_);
  if (most_.size() >= kMaxEntries && !most_.contains(key)) most_.clear();
  auto& most = most_[key];
  most = std::max(most, bytes);
}

}  // namespace homelab::engine
