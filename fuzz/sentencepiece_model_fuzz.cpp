// Any bytes as a tokenizer.model: either an error, or pieces that keep their promises.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/strings.h"
#include "loader/sentencepiece_model.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const bytes(reinterpret_cast<char const*>(data), size);
  auto const model = homelab::loader::parse_sentencepiece_model(bytes);
  if (!model) return 0;
  if (model->pieces.empty() || model->pieces.size() > size) std::abort();
  if (model->model_type < 1 || model->model_type > 4) std::abort();
  for (auto const& piece : model->pieces) {
    if (piece.text.empty() || !homelab::is_utf8(piece.text)) std::abort();
    if (!std::isfinite(piece.score) || piece.type < 1 || piece.type > 6) std::abort();
  }
  return 0;
}
