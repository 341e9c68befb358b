#include "loader/sentencepiece_model.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "base/strings.h"
#include "loader/tokenizer_files.h"

namespace homelab::loader {
namespace {

constexpr std::size_t kMaxPieces = 4'000'000;
constexpr std::size_t kMaxPieceBytes = 65'536;

// Field numbers of the published sentencepiece_model.proto.
constexpr std::uint32_t kPieces = 1, kTrainerSpec = 2, kNormalizerSpec = 3;
constexpr std::uint32_t kPieceText = 1, kPieceScore = 2, kPieceType = 3;
constexpr std::uint32_t kModelType = 3, kSpaceAsSuffix = 24;
constexpr std::uint32_t kCharacterMap = 2, kDummyPrefix = 3, kRemoveSpaces = 4, kEscapeSpaces = 5;

enum class Wire : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint32_t number = 0;
  Wire wire = Wire::kVarint;
  std::uint64_t value = 0;  ///< of kVarint and the fixed ones
  std::string_view bytes;   ///< of kBytes
};

/// The fields of one message, one after the other.
class Reader {
 public:
  Reader(std::string_view bytes, std::string_view message, std::size_t offset)
      : bytes_(bytes), message_(message), offset_(offset) {}

  [[nodiscard]] bool at_end() const { return position_ == bytes_.size(); }
  /// Of what was read last, in the whole file.
  [[nodiscard]] std::size_t offset() const { return offset_ + position_; }

  Result<Field> next() {
    auto const tag = varint();
    if (!tag) return wrong("a field's number is cut off");
    if (*tag >> 3U == 0 || *tag >> 3U > 0x1FFFFFFFU) return wrong("a field has an invalid number");
    Field field{.number = static_cast<std::uint32_t>(*tag >> 3U), .bytes = {}};
    field.wire = static_cast<Wire>(*tag & 7U);
    std::optional<std::uint64_t> value;
    switch (field.wire) {
      case Wire::kVarint:
        value = varint();
        break;
      case Wire::kFixed64:
        value = fixed(8);
        break;
      case Wire::kFixed32:
        value = fixed(4);
        break;
      case Wire::kBytes:
        value = varint();
        if (value && *value > bytes_.size() - position_) value.reset();
        break;
      default:
        return wrong(fmt::format("field {} has wire type {}", field.number, *tag & 7U));
    }
    if (!value) return wrong(fmt::format("field {} is cut off", field.number));
    field.value = *value;
    if (field.wire == Wire::kBytes) {
      field.bytes = bytes_.substr(position_, *value);
      position_ += *value;
    }
    return field;
  }

  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what) const {
    return broken(kTokenizerModel, fmt::format("{} at byte {}: {}", message_, offset(), what));
  }

 private:
  std::optional<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && position_ < bytes_.size(); shift += 7) {
      auto const byte = static_cast<unsigned char>(bytes_[position_++]);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80U) return value;
    }
    return std::nullopt;
  }

  std::optional<std::uint64_t> fixed(std::size_t size) {
    if (bytes_.size() - position_ < size) return std::nullopt;
    std::uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + position_, size);
    position_ += size;
    return value;
  }

  std::string_view bytes_;
  std::string_view message_;
  std::size_t offset_;
  std::size_t position_ = 0;
};

bool is(Field const& field, std::uint32_t number, Wire wire) {
  return field.number == number && field.wire == wire;
}

Result<SentencePiece> read_piece(Reader reader) {
  SentencePiece piece;
  while (!reader.at_end()) {
    ASSIGN_OR_RETURN(auto const field, reader.next());
    if (is(field, kPieceText, Wire::kBytes)) {
      if (field.bytes.size() > kMaxPieceBytes)
        return reader.wrong("the text is longer than 64 KiB");
      piece.text = field.bytes;
    } else if (is(field, kPieceScore, Wire::kFixed32)) {
      auto const bits = static_cast<std::uint32_t>(field.value);
      std::memcpy(&piece.score, &bits, sizeof piece.score);
    } else if (is(field, kPieceType, Wire::kVarint)) {
      if (field.value < 1 || field.value > 6)
        return reader.wrong(fmt::format("the type is {}", field.value));
      piece.type = static_cast<std::uint32_t>(field.value);
    }
  }
  if (piece.text.empty()) return reader.wrong("there is no text");
  if (!is_utf8(piece.text)) return reader.wrong("the text is not UTF-8");
  if (!std::isfinite(piece.score))
    return reader.wrong(fmt::format("the score of '{}' is not a number", piece.text));
  return piece;
}

Status read_trainer(Reader reader, SentencePieceModel& model) {
  while (!reader.at_end()) {
    ASSIGN_OR_RETURN(auto const field, reader.next());
    if (is(field, kModelType, Wire::kVarint)) {
      if (field.value < 1 || field.value > 4)
        return reader.wrong(fmt::format("model_type is {}", field.value));
      model.model_type = static_cast<std::uint32_t>(field.value);
    } else if (is(field, kSpaceAsSuffix, Wire::kVarint)) {
      model.treats_space_as_suffix = field.value != 0;
    }
  }
  return {};
}

Status read_normalizer(Reader reader, SentencePieceModel& model) {
  while (!reader.at_end()) {
    ASSIGN_OR_RETURN(auto const field, reader.next());
    if (is(field, kCharacterMap, Wire::kBytes))
      model.has_character_map = !field.bytes.empty();
    else if (is(field, kDummyPrefix, Wire::kVarint))
      model.adds_dummy_prefix = field.value != 0;
    else if (is(field, kRemoveSpaces, Wire::kVarint))
      model.removes_extra_spaces = field.value != 0;
    else if (is(field, kEscapeSpaces, Wire::kVarint))
      model.escapes_spaces = field.value != 0;
  }
  return {};
}

}  // namespace

Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes) {
  SentencePieceModel model;
  Reader reader(bytes, "model", 0);
  while (!reader.at_end()) {
    ASSIGN_OR_RETURN(auto const field, reader.next());
    if (field.wire != Wire::kBytes) continue;
    auto const offset = reader.offset() - field.bytes.size();
    if (field.number == kPieces) {
      if (model.pieces.size() == kMaxPieces) return reader.wrong("more than 4,000,000 pieces");
      ASSIGN_OR_RETURN(auto piece, read_piece(Reader(field.bytes, "pieces", offset)));
      model.pieces.push_back(std::move(piece));
    } else if (field.number == kTrainerSpec) {
      RETURN_IF_ERROR(read_trainer(Reader(field.bytes, "trainer_spec", offset), model));
    } else if (field.number == kNormalizerSpec) {
      RETURN_IF_ERROR(read_normalizer(Reader(field.bytes, "normalizer_spec", offset), model));
    }
  }
  if (model.pieces.empty()) return broken(kTokenizerModel, "there are no pieces");
  return model;
}

}  // namespace homelab::loader
