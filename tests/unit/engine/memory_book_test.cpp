#include "memory_book.h"

#include <gtest/gtest.h>

namespace homelab::engine {
namespace {

constexpr std::uint64_t kMiB = 1U << 20U;

TEST(MemoryBook, PredictsWeightsContextAndBuffers) {
  ModelFacts facts;
  facts.kv_bytes_per_token = 1000;
  facts.vocabulary_size = 1000;
  auto const small = predict(facts, 10 * kMiB, 100);
  EXPECT_EQ(small.least, 10 * kMiB + 100'000);
  EXPECT_GT(small.predicted, small.least) << "a batch and the program need memory too";
  EXPECT_EQ(predict(facts, 20 * kMiB, 100).predicted - small.predicted, 10 * kMiB);
  EXPECT_EQ(predict(facts, 10 * kMiB, 200).predicted - small.predicted, 100'000U);
}

TEST(MemoryBook, ExpectsHalfOfAllContextToBeUsedButOneSlotInFull) {
  EXPECT_EQ(expected_tokens(8192, 4), 16384U);
  EXPECT_EQ(expected_tokens(8192, 2), 8192U);
  EXPECT_EQ(expected_tokens(8192, 1), 8192U);
}

TEST(MemoryBook, WhatWasMeasuredAtMostReplacesThePrediction) {
  MemoryBook book;
  EngineShape const shape{"/m.gguf", 4096, -1, ""};
  EXPECT_EQ(book.needed_bytes(shape, {700, 100}), 700U);
  book.measured(shape.key(), 500);
  book.measured(shape.key(), 300);
  EXPECT_EQ(book.needed_bytes(shape, {700, 100}), 500U);
}

TEST(MemoryBook, AnEngineThatWasHardlyUsedDoesNotPromiseToStaySmall) {
  MemoryBook book;
  EngineShape const shape{"/m.gguf", 4096, -1, ""};
  book.measured(shape.key(), 200);
  EXPECT_EQ(book.needed_bytes(shape, {700, 600}), 600U);
}

TEST(MemoryBook, AnotherContextOrTypeIsAnotherShape) {
  MemoryBook book;
  book.measured(EngineShape{"/m.gguf", 4096, -1, ""}.key(), 500);
  EXPECT_EQ(book.needed_bytes({"/m.gguf", 8192, -1, ""}, {7, 0}), 7U);
  EXPECT_EQ(book.needed_bytes({"/m.gguf", 4096, 0, ""}, {7, 0}), 7U);
  EXPECT_EQ(book.needed_bytes({"/m.gguf", 4096, -1, "Q8_0"}, {7, 0}), 7U);
}

TEST(MemoryBook, AQuantisedWeightHasItsBitsAndHalfAOneForScales) {
  EXPECT_EQ(quantised_bytes(1600, "Q8_0"), 1700U);
  EXPECT_EQ(quantised_bytes(1600, "Q4_K"), 900U);
  EXPECT_EQ(quantised_bytes(1600, "other"), 3200U) << "what is no such type counts in full";
}

}  // namespace
}  // namespace homelab::engine
