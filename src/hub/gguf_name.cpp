#include "gguf_name.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/strings.h"

namespace homelab::hub {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_boundary(char c) { return c == '-' || c == '.' || c == '_' || c == '/'; }

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

/// One piece of a quantisation after its number: the "K" and "M" of Q4_K_M, the "0" of Q8_0.
bool is_quant_piece(std::string_view piece) {
  static constexpr std::array<std::string_view, 10> kPieces = {"K",  "M",   "S",  "L", "XL",
                                                               "XS", "XXS", "NL", "0", "1"};
  return std::find(kPieces.begin(), kPieces.end(), piece) != kPieces.end() ||
         (piece.size() == 1 && is_digit(piece.front()));
}

/// Length of the quantisation at the start of `text` (upper case), 0 when there is none.
std::size_t quant_length(std::string_view text) {
  static constexpr std::array<std::string_view, 8> kWords = {"MXFP4_MOE", "MXFP4", "NVFP4", "BF16",
                                                             "FP16",      "FP32",  "F16",   "F32"};
  for (auto const word : kWords)
    if (text.starts_with(word)) return word.size();
  std::size_t at = text.starts_with("IQ") || text.starts_with("TQ") ? 2
                   : text.starts_with("Q")                          ? 1
                                                                    : 0;
  if (at == 0 || at >= text.size() || !is_digit(text[at])) return 0;
  ++at;
  std::size_t good = 0;
  while (at < text.size() && text[at] == '_') {
    std::size_t end = at + 1;
    while (end < text.size() && !is_boundary(text[end])) ++end;
    if (!is_quant_piece(text.substr(at + 1, end - at - 1))) break;
    good = at = end;
  }
  return good;
}

std::string last_quantisation(std::string_view name) {
  std::string const text = upper(name);
  for (std::size_t start = text.size(); start-- > 0;) {
    if (start > 0 && !is_boundary(text[start - 1])) continue;
    std::string_view const rest = std::string_view(text).substr(start);
    std::size_t const length = quant_length(rest);
    if (length == 0 || (length < rest.size() && !is_boundary(rest[length]))) continue;
    std::string const found(rest.substr(0, length));
    bool const dynamic = start >= 3 && std::string_view(text).substr(start - 3, 3) == "UD-";
    return dynamic ? "UD-" + found : found;
  }
  return {};
}

}  // namespace

std::optional<ShardName> parse_shard_name(std::string_view path, std::string_view extension) {
  // "-00001-of-00002." has 16 characters before the extension.
  static constexpr std::size_t kSuffix = 15;
  if (path.size() < kSuffix + 1 + extension.size() + 1) return std::nullopt;
  if (!path.ends_with(extension) || path[path.size() - extension.size() - 1] != '.')
    return std::nullopt;
  std::string_view const body = path.substr(0, path.size() - extension.size() - 1);
  std::string_view const suffix = body.substr(body.size() - kSuffix);
  auto const index = suffix.substr(1, 5);
  auto const count = suffix.substr(10, 5);
  if (suffix[0] != '-' || suffix.substr(6, 4) != "-of-" || !all_digits(index) || !all_digits(count))
    return std::nullopt;
  ShardName name;
  name.stem = std::string(body.substr(0, body.size() - kSuffix));
  name.index = static_cast<unsigned>(*parse_uint(index));
  name.count = static_cast<unsigned>(*parse_uint(count));
  if (name.index == 0 || name.index > name.count) return std::nullopt;
  return name;
}

std::string quantisation_of(std::string_view stem) {
  auto const slash = stem.rfind('/');
  if (slash == std::string_view::npos) return last_quantisation(stem);
  auto found = last_quantisation(stem.substr(slash + 1));
  return found.empty() ? last_quantisation(stem.substr(0, slash)) : found;
}

unsigned default_rank(std::string_view quantisation) {
  static constexpr std::array<std::string_view, 40> kOrder = {
      "Q4_K_M", "UD-Q4_K_XL", "Q4_K_XL", "Q4_K_L",  "Q4_K_S",  "Q4_K",   "MXFP4",  "MXFP4_MOE",
      "Q4_1",   "IQ4_NL",     "IQ4_XS",  "Q4_0",    "Q5_K_M",  "Q5_K_S", "Q5_K_L", "Q5_K",
      "Q5_1",   "Q5_0",       "Q6_K",    "Q6_K_L",  "Q8_0",    "Q3_K_L", "Q3_K_M", "IQ3_M",
      "Q3_K_S", "IQ3_S",      "IQ3_XS",  "IQ3_XXS", "BF16",    "F16",    "FP16",   "Q2_K_L",
      "Q2_K",   "IQ2_M",      "IQ2_S",   "IQ2_XS",  "IQ2_XXS", "IQ1_M",  "IQ1_S",  "F32"};
  auto const* const found = std::find(kOrder.begin(), kOrder.end(), quantisation);
  return static_cast<unsigned>(found - kOrder.begin());
}

}  // namespace homelab::hub
