#pragma once
// One file read once: does its content have the hash that it must have?
#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "cache/names.h"

namespace homelab::cache {

/// Changes whenever somebody writes to the file, replaces it or renames over it. The change time
/// cannot be set back by programs.
struct FileFacts {
  std::uint64_t size_bytes = 0;
  std::uint64_t inode = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  friend bool operator==(FileFacts const&, FileFacts const&) = default;
};
[[nodiscard]] FileFacts facts_of(struct stat const& file);

/// A file whose facts are this old at `now_ns` cannot be written to without getting others: file
/// systems count in ticks (10 ms; whole seconds or pairs of them on old ones), and a write within
/// the tick of the last one would go unnoticed.
[[nodiscard]] bool is_settled(FileFacts const& facts, std::int64_t now_ns);
/// The machine's clock, as file systems use it.
[[nodiscard]] std::int64_t file_clock_ns();

struct ContentCheck {
  enum class Outcome { kGood, kWrong, kChanged, kUnreadable, kCancelled };
  Outcome outcome = Outcome::kCancelled;
  FileFacts facts;       ///< before the reading
  bool settled = false;  ///< the outcome may be remembered with these facts
  std::string found;     ///< hash of the content, for kWrong
  std::string why;       ///< for kUnreadable
};

struct ContentWatch {
  std::function<void(std::uint64_t bytes)> on_bytes;  ///< after each piece
  std::function<bool()> cancelled;
};

/// Reads an open regular file from its start to its end. Pages that were not in the page cache
/// before are not left there when most of the file was not: a check of a whole cache must not push
/// out the models that are in use.
[[nodiscard]] ContentCheck check_content(int file, BlobName const& hash, ContentWatch const& watch);

}  // namespace homelab::cache
