#pragma once
// Aligned columns for people. Pure: text in, text out.
#include <string>
#include <string_view>
#include <vector>

#include "care/printable.h"

namespace homelab::cli {

enum class Align { kLeft, kRight };

/// Columns that a terminal needs for UTF-8 text: 0 for combining marks, 2 for East Asian wide
/// letters and emoji, 1 for the rest (a broken byte counts as 1).
[[nodiscard]] std::size_t display_width(std::string_view text);

/// The start of `text` that fits into `columns`, cut between letters.
[[nodiscard]] std::string_view clip(std::string_view text, std::size_t columns);

using care::printable;

/// Rows under one header line. Cells are made printable; missing cells are empty, surplus ones are
/// dropped.
class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<std::string> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  /// Two blanks between columns, no blanks at line ends, one '\n' per line.
  [[nodiscard]] std::string render() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "key:   value" lines, values aligned in one column.
[[nodiscard]] std::string render_fields(
    std::vector<std::pair<std::string, std::string>> const& fields);

}  // namespace homelab::cli
