#include "engine_log.h"

#include <array>
#include <utility>

#include "base/strings.h"

namespace homelab::engine {

void LineRing::append(std::string_view text) {
  for (char const c : text) {
    if (c == '\n') {
      end_line();
    } else if (open_.size() < max_line_bytes_) {
      open_ += c;
    }
  }
}

void LineRing::end_line() {
  std::string const line(trim(open_));
  open_.clear();
  if (line.empty()) return;
  if (sandbox_line_.empty() && line.starts_with(kSandboxMark)) sandbox_line_ = line;
  lines_.push_back(line);
  if (lines_.size() > max_lines_) lines_.pop_front();
}

std::vector<std::string> LineRing::lines() const {
  std::vector<std::string> out(lines_.begin(), lines_.end());
  auto const open = trim(open_);
  if (!open.empty()) out.emplace_back(open);
  return out;
}

namespace {

/// "11.21.204.284 I slot release: ...": a time, then a level below Error.
bool is_everyday(std::string_view line) {
  auto const blank = line.find(' ');
  if (blank == 0 || blank == std::string_view::npos) return false;
  bool const time = line.find_first_not_of("0123456789.") == blank;
  auto const rest = line.substr(blank);
  return time && (rest.starts_with(" I ") || rest.starts_with(" D ") || rest.starts_with(" W "));
}

std::string join_last(std::vector<std::string> const& lines, std::size_t max_lines) {
  std::string out;
  std::size_t const first = lines.size() > max_lines ? lines.size() - max_lines : 0;
  for (std::size_t i = first; i < lines.size(); ++i) {
    if (!out.empty()) out += " | ";
    out += lines[i];
  }
  return out;
}

}  // namespace

std::string reason_in(std::vector<std::string> const& lines, std::size_t max_lines) {
  constexpr std::string_view kMark = "error:";
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (line->starts_with(kMark))
      return std::string(trim(std::string_view(*line).substr(kMark.size())));
  }
  std::vector<std::string> telling;
  for (auto const& line : lines) {
    if (!is_everyday(line)) telling.push_back(line);
  }
  return join_last(telling.empty() ? lines : telling, max_lines);
}

EngineLog::EngineLog(os::UniqueFd read_end, os::Path file)
    : fd_(std::move(read_end)), file_(std::make_shared<LogFile>(std::move(file))) {}

EngineLog::~EngineLog() {
  static_cast<void>(drain());
  file_->end();
}

bool EngineLog::drain() {
  std::lock_guard const lock(mutex_);
  std::array<char, 16384> buffer{};
  // Bounded per call, so that an engine that writes without end does not hold the reader.
  for (int round = 0; round < 64; ++round) {
    auto const got = os::read_available(fd_.get(), buffer);
    if (!got) return false;
    if (!*got) return true;
    if (**got == 0) return false;
    std::string_view const text(buffer.data(), **got);
    ring_.append(text);
    file_->append(text);
  }
  return true;
}

std::vector<std::string> EngineLog::lines() {
  std::lock_guard const lock(mutex_);
  return ring_.lines();
}

std::optional<SandboxReport> EngineLog::sandbox() {
  std::lock_guard const lock(mutex_);
  return parse_sandbox_report(ring_.sandbox_line());
}

}  // namespace homelab::engine
