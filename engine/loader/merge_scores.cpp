#include "loader/merge_scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "loader/tokenizer_files.h"

namespace homelab::loader {
namespace {

using Id = std::uint32_t;

/// Above this a float does not hold every whole number.
constexpr std::size_t kMaxMerges = 1U << 24U;

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

std::size_t first_character(std::string_view text) {
  std::size_t size = 1;
  while (size < text.size() && !begins_character(text[size])) ++size;
  return size;
}

/// "aaa": one character several times.
bool is_run(std::string_view text) {
  auto const one = text.substr(0, first_character(text));
  for (std::size_t at = 0; at < text.size(); at += one.size())
    if (text.substr(at, one.size()) != one) return false;
  return true;
}

/// Left and right of a merge, written as a pair or as "left right".
Result<std::pair<std::string_view, std::string_view>> parts_of(json::value const& merge) {
  if (auto const* pair = merge.if_array();
      pair && pair->size() == 2 && (*pair)[0].is_string() && (*pair)[1].is_string())
    return std::pair(std::string_view((*pair)[0].get_string()),
                     std::string_view((*pair)[1].get_string()));
  if (auto const* text = merge.if_string()) {
    std::string_view const both = *text;
    if (auto const space = both.find(' '); space != std::string_view::npos)
      return std::pair(both.substr(0, space), both.substr(space + 1));
  }
  return broken(kTokenizerJson, "each of 'merges' must be a text or a pair of texts");
}

/// Tokens in the order in which merges make them. Tokens of one rank have one score.
class Ranks {
 public:
  explicit Ranks(Vocabulary const& vocabulary)
      : vocabulary_(vocabulary), rank_of_(vocabulary.tokens().size(), kNone) {}

  Status add(Id token) {
    if (rank_of_[token] == kNone) {
      rank_of_[token] = static_cast<Id>(members_.size());
      members_.push_back({token});
      return {};
    }
    // Tokens that had one score may be in any order among each other. That is known for runs of one
    // character only, where it makes no difference.
    auto const rank = rank_of_[token];
    bool const one = rank + 1 == members_.size() ||
                     std::all_of(members_.begin() + rank, members_.end(),
                                 [&](auto const& tokens) { return all_runs(tokens); });
    if (!one) {
      return unsupported(kTokenizerJson,
                         fmt::format("a SentencePiece tokenizer whose merges to '{}' do not stand "
                                     "together",
                                     vocabulary_.tokens()[token]));
    }
    for (auto other = rank + 1; other < members_.size(); ++other) {
      for (auto const member : members_[other]) {
        rank_of_[member] = rank;
        members_[rank].push_back(member);
      }
    }
    members_.resize(rank + 1);
    return {};
  }

  [[nodiscard]] std::vector<float> scores() const {
    std::vector<float> result(rank_of_.size(), -static_cast<float>(members_.size()));
    for (Id token = 0; token < rank_of_.size(); ++token)
      if (rank_of_[token] != kNone) result[token] = -static_cast<float>(rank_of_[token]);
    return result;
  }

 private:
  static constexpr Id kNone = UINT32_MAX;

  [[nodiscard]] bool all_runs(std::vector<Id> const& tokens) const {
    return std::all_of(tokens.begin(), tokens.end(),
                       [&](Id token) { return is_run(vocabulary_.tokens()[token]); });
  }

  Vocabulary const& vocabulary_;
  std::vector<Id> rank_of_;
  std::vector<std::vector<Id>> members_;
};

/// In how many ways llama.cpp can put the token together out of two.
Id ways_to_make(std::string_view token, Vocabulary const& vocabulary) {
  Id ways = 0;
  auto const first = first_character(token);
  for (std::size_t at = first; at < token.size(); ++at) {
    if (!begins_character(token[at])) continue;
    auto const left = token.substr(0, at);
    if (at != first && !vocabulary.find(left)) continue;
    auto const right = token.substr(at);
    if (first_character(right) == right.size() || vocabulary.find(right)) ++ways;
  }
  return ways;
}

}  // namespace

Result<std::vector<float>> scores_of_merges(json::array const& merges,
                                            Vocabulary const& vocabulary) {
  if (merges.size() > kMaxMerges)
    return broken(kTokenizerJson, fmt::format("{} merges are too many", merges.size()));
  Ranks ranks(vocabulary);
  std::vector<Id> ways(vocabulary.tokens().size());
  std::unordered_set<std::uint64_t> seen;
  seen.reserve(merges.size());
  std::string result;
  for (auto const& merge : merges) {
    ASSIGN_OR_RETURN(auto const parts, parts_of(merge));
    result.assign(parts.first).append(parts.second);
    auto const left = vocabulary.find(parts.first);
    auto const right = vocabulary.find(parts.second);
    auto const token = vocabulary.find(result);
    if (!left || !right || !token) {
      return broken(kTokenizerJson,
                    fmt::format("'merges' has '{}' with '{}', which are not tokens or do not make "
                                "one",
                                parts.first, parts.second));
    }
    if (!seen.insert(static_cast<std::uint64_t>(*left) << 32U | *right).second) {
      return broken(kTokenizerJson,
                    fmt::format("'merges' has '{}' with '{}' twice", parts.first, parts.second));
    }
    ++ways[*token];
    RETURN_IF_ERROR(ranks.add(*token));
  }
  for (Id token = 0; token < ways.size(); ++token) {
    if (vocabulary.type(token) != TokenType::kNormal) continue;
    auto const& text = vocabulary.tokens()[token];
    if (ways[token] != ways_to_make(text, vocabulary)) {
      return unsupported(
          kTokenizerJson,
          fmt::format("a tokenizer with byte_fallback whose merges are not all those "
                      "that make '{}'",
                      text));
    }
  }
  return ranks.scores();
}

}  // namespace homelab::loader
