#include "record.h"

#include <limits.h>

#include <algorithm>

#include "bytes.h"

namespace homelab::cache::index {
namespace {

constexpr std::size_t kMaxDepth = 128;
constexpr std::size_t kMaxRefBytes = 4096;
/// A count that is wrong must not cost memory.
constexpr std::size_t kReserved = 4096;

std::uint64_t ns_of(struct timespec const& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(time.tv_nsec);
}

bool is_one_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

bool is_payload(std::string_view name) {
  return name.size() == 64 && BlobName::parse(name).has_value();
}

void write_file(ByteWriter& out, Record::File const& file) {
  out.number(static_cast<std::uint64_t>(file.kind));
  out.text(file.name);
  if (file.kind == WatchKind::kStored) out.text(file.payload);
  if (file.kind == WatchKind::kBlob || file.kind == WatchKind::kStored) out.number(file.entries);
}

Record::File read_file(ByteReader& in) {
  Record::File file;
  std::uint64_t const kind = in.number();
  if (kind >= kWatchKinds) in.fail();
  file.kind = static_cast<WatchKind>(kind % kWatchKinds);
  file.name = in.text(NAME_MAX);
  if (!is_one_name(file.name)) in.fail();
  if (file.kind == WatchKind::kStored) {
    file.payload = in.text(NAME_MAX);
    if (!is_payload(file.payload)) in.fail();
  }
  if (file.kind == WatchKind::kBlob || file.kind == WatchKind::kStored) file.entries = in.number();
  return file;
}

void write_folder(ByteWriter& out, Record::Folder const& folder) {
  out.number(folder.depth);
  out.text(folder.name);
  out.number(folder.files.size());
  for (auto const& file : folder.files) write_file(out, file);
}

/// `before`: depth of the folder that was read before.
Record::Folder read_folder(ByteReader& in, std::optional<std::size_t> before) {
  Record::Folder folder;
  folder.depth = in.number();
  folder.name = in.text(NAME_MAX);
  bool const fits = before ? folder.depth > 0 && folder.depth <= *before + 1 &&
                                 folder.depth <= kMaxDepth && is_one_name(folder.name)
                           : folder.depth == 0 && folder.name.empty();
  if (!fits) in.fail();
  std::size_t const count = in.count();
  folder.files.reserve(std::min(count, kReserved));
  for (std::size_t i = 0; i < count && in.good(); ++i) {
    folder.files.push_back(read_file(in));
    if (i > 0 && folder.files[i - 1].name >= folder.files[i].name) in.fail();
  }
  return folder;
}

void write_revision(ByteWriter& out, Record::Revision const& revision) {
  out.text(revision.commit.text());
  out.number(revision.files);
  out.fixed(static_cast<std::uint64_t>(revision.modified_ns));
  out.number(revision.refs.size());
  for (auto const& ref : revision.refs) out.text(ref);
}

void read_revision(ByteReader& in, std::vector<Record::Revision>& revisions) {
  auto commit = CommitHash::parse(in.text(NAME_MAX));
  if (!commit || (!revisions.empty() && revisions.back().commit >= *commit)) return in.fail();
  Record::Revision revision{std::move(*commit), {}, in.number(), 0};
  revision.modified_ns = static_cast<std::int64_t>(in.fixed());
  std::size_t const refs = in.count();
  for (std::size_t i = 0; i < refs && in.good(); ++i) {
    revision.refs.push_back(in.text(kMaxRefBytes));
    if (!Revision::parse(revision.refs.back())) in.fail();
  }
  revisions.push_back(std::move(revision));
}

}  // namespace

std::uint64_t facts_of(struct stat const& found) {
  std::uint64_t sum = mix(found.st_dev, found.st_ino);
  sum = mix(sum, (std::uint64_t{found.st_mode} << 32U) ^ found.st_nlink);
  sum = mix(sum, static_cast<std::uint64_t>(found.st_size));
  sum = mix(sum, static_cast<std::uint64_t>(found.st_blocks));
  return mix(mix(sum, ns_of(found.st_mtim)), ns_of(found.st_ctim));
}

std::string to_bytes(Record const& record) {
  ByteWriter out;
  out.fixed(record.facts);
  out.number(record.other_disk_bytes);
  out.number(record.link_disk_bytes);
  out.number(record.plain_bytes);
  out.number(record.complete ? 1 : 0);
  out.number(record.folders.size());
  for (auto const& folder : record.folders) write_folder(out, folder);
  out.number(record.revisions.size());
  for (auto const& revision : record.revisions) write_revision(out, revision);
  return out.take();
}

std::optional<Record> parse_record(std::string_view bytes) {
  if (bytes.size() > kMaxRecordBytes) return std::nullopt;
  ByteReader in(bytes);
  Record record;
  record.facts = in.fixed();
  record.other_disk_bytes = in.number();
  record.link_disk_bytes = in.number();
  record.plain_bytes = in.number();
  std::uint64_t const complete = in.number();
  if (complete > 1) in.fail();
  record.complete = complete == 1;
  std::size_t const folders = in.count();
  if (folders == 0) in.fail();
  for (std::size_t i = 0; i < folders && in.good(); ++i) {
    std::optional<std::size_t> before;
    if (i > 0) before = record.folders.back().depth;
    record.folders.push_back(read_folder(in, before));
  }
  std::size_t const revisions = in.count();
  for (std::size_t i = 0; i < revisions && in.good(); ++i) read_revision(in, record.revisions);
  if (!in.at_end()) return std::nullopt;
  return record;
}

}  // namespace homelab::cache::index
