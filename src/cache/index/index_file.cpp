#include "index_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <utility>

#include "bytes.h"
#include "record.h"

namespace homelab::cache::index {
namespace {

/// To be changed with the form of the file, and with what a scan concludes from what it sees.
constexpr std::string_view kMagic = "HLLMIX01";
constexpr std::size_t kTailBytes = 3 * 8 + kMagic.size();
constexpr std::size_t kMaxTableBytes = 256U << 20U;
constexpr std::size_t kFlushBytes = 256U << 10U;

bool read_exactly(int file, std::uint64_t offset, std::string& into) {
  std::size_t filled = 0;
  while (filled < into.size()) {
    ssize_t const got = ::pread(file, into.data() + filled, into.size() - filled,
                                static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    filled += static_cast<std::size_t>(got);
  }
  return true;
}

std::optional<Table> read_table(int file, std::uint64_t file_bytes) {
  if (file_bytes < kTailBytes || file_bytes > kMaxIndexBytes) return std::nullopt;
  std::string tail(kTailBytes, '\0');
  if (!read_exactly(file, file_bytes - kTailBytes, tail)) return std::nullopt;
  ByteReader in(tail);
  std::uint64_t const start = in.fixed();
  std::uint64_t const size = in.fixed();
  std::uint64_t const sum = in.fixed();
  std::uint64_t const before_tail = file_bytes - kTailBytes;
  if (!tail.ends_with(kMagic) || size > kMaxTableBytes || size > before_tail ||
      start != before_tail - size)
    return std::nullopt;
  std::string bytes(size, '\0');
  if (!read_exactly(file, start, bytes) || sum_of(bytes) != sum) return std::nullopt;
  return parse_table(bytes, start);
}

/// What other users see of the cache is not what this one sees, and nobody else may write.
bool is_own(struct stat const& found) {
  return found.st_uid == ::geteuid() && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace

std::string to_bytes(Table const& table) {
  ByteWriter out;
  out.number(table.size());
  for (auto const& entry : table) {
    out.text(entry.name);
    out.number(entry.offset);
    out.number(entry.size_bytes);
    out.fixed(entry.sum);
  }
  return out.take();
}

std::optional<Table> parse_table(std::string_view bytes, std::uint64_t records_end) {
  ByteReader in(bytes);
  Table table;
  std::size_t const count = in.count();
  for (std::size_t i = 0; i < count && in.good(); ++i) {
    TableEntry entry{in.text(NAME_MAX), 0, 0, 0};
    entry.offset = in.number();
    entry.size_bytes = in.number();
    entry.sum = in.fixed();
    bool const fits = entry.offset <= records_end && entry.size_bytes <= kMaxRecordBytes &&
                      entry.size_bytes <= records_end - entry.offset;
    bool const in_order = table.empty() || table.back().name < entry.name;
    if (!fits || !in_order) in.fail();
    table.push_back(std::move(entry));
  }
  if (!in.at_end()) return std::nullopt;
  return table;
}

std::optional<IndexFile> IndexFile::open(FolderAt const& folder, std::string const& name) {
  os::UniqueFd file(
      ::openat(folder.fd.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat found{};
  if (!file || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  if (!is_own(found)) return std::nullopt;
  auto table = read_table(file.get(), static_cast<std::uint64_t>(found.st_size));
  if (!table) return std::nullopt;
  return IndexFile(std::move(file), std::move(*table));
}

std::optional<std::size_t> IndexFile::find(std::string_view repo) const {
  auto const at = std::ranges::lower_bound(
      table_, repo, {}, [](TableEntry const& entry) { return std::string_view(entry.name); });
  if (at == table_.end() || at->name != repo) return std::nullopt;
  return static_cast<std::size_t>(at - table_.begin());
}

std::optional<std::string> IndexFile::read(std::size_t at) const {
  auto const& entry = table_[at];
  std::string bytes(entry.size_bytes, '\0');
  if (!read_exactly(file_.get(), entry.offset, bytes) || sum_of(bytes) != entry.sum)
    return std::nullopt;
  return bytes;
}

IndexWriter::IndexWriter(FolderAt folder, std::string name, os::UniqueFd file)
    : folder_(std::move(folder)), name_(std::move(name)), file_(std::move(file)) {}

IndexWriter::IndexWriter(IndexWriter&& other) noexcept
    : folder_(std::move(other.folder_)),
      name_(std::move(other.name_)),
      file_(std::move(other.file_)),
      began_ns_(other.began_ns_),
      device_(other.device_),
      waiting_(std::move(other.waiting_)),
      written_(other.written_),
      table_(std::move(other.table_)),
      open_(std::exchange(other.open_, false)) {}

IndexWriter::~IndexWriter() {
  if (open_) ::unlinkat(folder_.fd.get(), (name_ + ".tmp").c_str(), 0);
}

std::optional<IndexWriter> IndexWriter::begin(FolderAt folder, std::string name) {
  auto file = open_own_file(folder, name + ".tmp", false);
  if (!file) return std::nullopt;
  IndexWriter writer(std::move(folder), std::move(name), std::move(*file));
  int const fd = writer.file_.get();
  struct stat found{};
  // Setting the times to "now" lets the file system, or its server, tell what it takes for now.
  if (::ftruncate(fd, 0) != 0 || ::fchmod(fd, S_IRUSR | S_IWUSR) != 0 ||
      ::futimens(fd, nullptr) != 0 || ::fstat(fd, &found) != 0 || !is_own(found))
    return std::nullopt;
  writer.began_ns_ =
      static_cast<std::int64_t>(found.st_ctim.tv_sec) * 1'000'000'000 + found.st_ctim.tv_nsec;
  writer.device_ = found.st_dev;
  return writer;
}

bool IndexWriter::add(std::string repo, std::string_view record) {
  if (record.size() > kMaxRecordBytes || repo.size() > NAME_MAX) return true;
  std::uint64_t const offset = written_ + waiting_.size();
  if (offset + record.size() > kMaxIndexBytes / 2) return true;
  table_.push_back({std::move(repo), offset, record.size(), sum_of(record)});
  return append(record);
}

bool IndexWriter::append(std::string_view bytes) {
  waiting_ += bytes;
  return waiting_.size() < kFlushBytes || flush();
}

bool IndexWriter::flush() {
  if (!os::write_all_at(file_.get(), std::as_bytes(std::span(waiting_)), written_)) return false;
  written_ += waiting_.size();
  waiting_.clear();
  return true;
}

bool IndexWriter::commit() {
  std::ranges::sort(table_, {}, &TableEntry::name);
  std::string const bytes = to_bytes(table_);
  ByteWriter tail;
  tail.fixed(written_ + waiting_.size());
  tail.fixed(bytes.size());
  tail.fixed(sum_of(bytes));
  waiting_ += bytes;
  waiting_ += tail.bytes();
  waiting_ += kMagic;
  if (!flush() ||
      ::renameat(folder_.fd.get(), (name_ + ".tmp").c_str(), folder_.fd.get(), name_.c_str()) != 0)
    return false;
  open_ = false;
  return true;
}

}  // namespace homelab::cache::index
