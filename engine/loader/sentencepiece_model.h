#pragma once
// The part of a SentencePiece tokenizer.model that llama.cpp needs. The file is a protobuf message
// of which five fields matter, so it is read here by its wire format: a bounded reader of a page,
// fuzzed, instead of libprotobuf with its compiler and a generated parser for the other fifty
// fields.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace homelab::loader {

/// One token. `type` is SentencePiece's: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused,
/// 6 byte (the same numbers as llama.cpp's).
struct SentencePiece {
  std::string text;
  float score = 0;
  std::uint32_t type = 1;
};

struct SentencePieceModel {
  std::vector<SentencePiece> pieces;
  std::uint32_t model_type = 1;  ///< 1 unigram (also when not said), 2 BPE, 3 words, 4 characters
  bool treats_space_as_suffix = false;
  bool has_character_map = false;  ///< texts are normalised (NFKC or other) before they are split
  bool adds_dummy_prefix = true;
  bool removes_extra_spaces = true;
  bool escapes_spaces = true;
};

/// Errors (kInvalidArgument) name the field and the byte offset. Texts must be UTF-8, not empty, at
/// most 64 KiB; scores must be numbers; there are at most 4 million pieces.
[[nodiscard]] Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes);

}  // namespace homelab::loader
