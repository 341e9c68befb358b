#pragma once
// Scores that make llama.cpp's SentencePiece merge in the order of a list of merges.
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "loader/vocabulary.h"

namespace homelab::loader {

/// One score for each row of `vocabulary`: the earlier a token is made by `merges`, the higher.
/// Errors: kInvalidArgument for merges of or to tokens that do not exist, or that are not pairs;
/// kUnimplemented when no scores can give the same tokens: the merges of one token do not stand
/// together, or a token can be put together in a way that the list does not have (llama.cpp knows
/// only the tokens, so it would merge there).
[[nodiscard]] Result<std::vector<float>> scores_of_merges(json::array const& merges,
                                                          Vocabulary const& vocabulary);

}  // namespace homelab::loader
