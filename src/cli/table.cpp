#include "table.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace homelab::cli {
namespace {

using care::Letter;
using care::next_letter;

struct Range {
  char32_t first, last;
};
// Blocks, not single letters: good enough to keep columns straight, small enough to read.
constexpr std::array kZeroWidth{Range{0x0300, 0x036F}, Range{0x200B, 0x200F}, Range{0x20D0, 0x20FF},
                                Range{0xFE00, 0xFE0F}, Range{0xFE20, 0xFE2F}};
constexpr std::array kWide{
    Range{0x1100, 0x115F},   Range{0x2E80, 0xA4CF},   Range{0xAC00, 0xD7A3},
    Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE4F},   Range{0xFF00, 0xFF60},
    Range{0xFFE0, 0xFFE6},   Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF},
    Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD}};

template <std::size_t N>
bool within(std::array<Range, N> const& ranges, char32_t code) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](Range range) { return code >= range.first && code <= range.last; });
}

std::size_t width_of(Letter letter) {
  if (!letter.valid) return 1;
  if (within(kZeroWidth, letter.code)) return 0;
  return within(kWide, letter.code) ? 2 : 1;
}

/// ASCII without control characters.
bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
}

/// Lines of cells with trailing blanks cut.
void append_padded(std::string& line, std::string const& cell, std::size_t width, Align align) {
  std::size_t const own = display_width(cell);
  std::string const pad(width > own ? width - own : 0, ' ');
  line += align == Align::kRight ? pad + cell : cell + pad;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  // Nearly every cell is plain, and a list has thousands.
  if (is_plain(text)) return text.size();
  std::size_t width = 0;
  while (!text.empty()) {
    Letter const letter = next_letter(text);
    text.remove_prefix(letter.bytes);
    width += width_of(letter);
  }
  return width;
}

std::string_view clip(std::string_view text, std::size_t columns) {
  std::size_t width = 0;
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    Letter const letter = next_letter(text.substr(bytes));
    width += width_of(letter);
    if (width > columns) break;
    bytes += letter.bytes;
  }
  return text.substr(0, bytes);
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (auto& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::render() const {
  std::vector<std::string> titles;
  std::vector<std::size_t> widths;
  for (auto const& column : columns_) {
    titles.push_back(column.title);
    widths.push_back(display_width(column.title));
  }
  for (auto const& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], display_width(row[i]));

  std::string out;
  auto const append_row = [&](std::vector<std::string> const& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += "  ";
      append_padded(line, cells[i], widths[i], columns_[i].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  append_row(titles);
  for (auto const& row : rows_) append_row(row);
  return out;
}

std::string render_fields(std::vector<std::pair<std::string, std::string>> const& fields) {
  std::size_t width = 0;
  for (auto const& [key, value] : fields) width = std::max(width, display_width(key));
  std::string out;
  for (auto const& [key, value] : fields) {
    std::string line;
    append_padded(line, key + ":", width + 2, Align::kLeft);
    line += printable(value);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

}  // namespace homelab::cli
