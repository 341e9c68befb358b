#pragma once
// The index of one hub folder on disk: records one after the other, then a table of the names that
// they belong to, then where the table is. Each record is read when it is asked for, so the memory
// that an index takes is that of its table.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../folder_at.h"
#include "base/os/file.h"

namespace homelab::cache::index {

struct TableEntry {
  std::string name;  ///< of the repository folder
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t sum = 0;  ///< over the record
  friend bool operator==(TableEntry const&, TableEntry const&) = default;
};
/// Sorted by name.
using Table = std::vector<TableEntry>;

[[nodiscard]] std::string to_bytes(Table const& table);
/// nullopt for anything that to_bytes() would not have given, and for a record that does not lie
/// within the first `records_end` bytes.
[[nodiscard]] std::optional<Table> parse_table(std::string_view bytes, std::uint64_t records_end);

inline constexpr std::uint64_t kMaxIndexBytes = 1ULL << 30U;

/// Thread-safe once it is open.
class IndexFile {
 public:
  /// nullopt when there is none, it is damaged or of another version, or another user wrote it.
  [[nodiscard]] static std::optional<IndexFile> open(FolderAt const& folder,
                                                     std::string const& name);

  [[nodiscard]] Table const& table() const { return table_; }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view repo) const;
  /// The bytes of one record; nullopt when they are not what was written.
  [[nodiscard]] std::optional<std::string> read(std::size_t at) const;

 private:
  IndexFile(os::UniqueFd file, Table table) : file_(std::move(file)), table_(std::move(table)) {}
  os::UniqueFd file_;
  Table table_;
};

/// A new index, made beside the old one and put in its place at the end. Two at a time are not
/// possible; nothing is durable before a power cut, a damaged index is just not used.
class IndexWriter {
 public:
  /// nullopt on a read-only folder, or while another process writes.
  [[nodiscard]] static std::optional<IndexWriter> begin(FolderAt folder, std::string name);
  IndexWriter(IndexWriter&& other) noexcept;
  IndexWriter& operator=(IndexWriter&&) = delete;
  ~IndexWriter();  ///< without commit() everything stays as it was

  /// The file system's clock when this began.
  [[nodiscard]] std::int64_t began_ns() const { return began_ns_; }
  [[nodiscard]] std::uint64_t device() const { return device_; }

  /// Once per repository. False: it cannot be written, give up.
  [[nodiscard]] bool add(std::string repo, std::string_view record);
  [[nodiscard]] std::size_t size() const { return table_.size(); }
  [[nodiscard]] bool commit();

 private:
  IndexWriter(FolderAt folder, std::string name, os::UniqueFd file);
  bool append(std::string_view bytes);
  bool flush();

  FolderAt folder_;
  std::string name_;
  os::UniqueFd file_;
  std::int64_t began_ns_ = 0;
  std::uint64_t device_ = 0;
  std::string waiting_;
  std::uint64_t written_ = 0;
  Table table_;
  bool open_ = true;
};

}  // namespace homelab::cache::index
