#include "tar_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <utility>

namespace homelab::cache {
namespace {

constexpr std::uint64_t kTarBlockBytes = 512;
/// 1980-01-01: tar programs complain about the beginning of 1970.
constexpr std::int64_t kTime = 315'532'800;

struct FreeEntry {
  void operator()(struct archive_entry* entry) const { archive_entry_free(entry); }
};
using Entry = std::unique_ptr<struct archive_entry, FreeEntry>;

Entry make_entry(std::string const& name, unsigned type, unsigned mode) {
  Entry entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), type);
  archive_entry_set_perm(entry.get(), static_cast<__LA_MODE_T>(mode));
  archive_entry_set_mtime(entry.get(), kTime, 0);
  archive_entry_set_uid(entry.get(), 0);
  archive_entry_set_gid(entry.get(), 0);
  return entry;
}

Entry file_entry(std::string const& name, std::uint64_t size_bytes) {
  Entry entry = make_entry(name, AE_IFREG, 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size_bytes));
  return entry;
}

Entry link_entry(std::string const& name, std::string const& text) {
  Entry entry = make_entry(name, AE_IFLNK, 0777);
  archive_entry_set_size(entry.get(), 0);
  archive_entry_set_symlink(entry.get(), text.c_str());
  return entry;
}

}  // namespace

struct TarWriter::State {
  Sink sink;
  Status failed;
  bool abandoned = false;
  struct archive* archive = nullptr;

  static la_ssize_t take(struct archive* archive, void* self, void const* bytes,
                         std::size_t count) {
    auto& state = *static_cast<State*>(self);
    if (state.abandoned) return -1;
    state.failed = state.sink({static_cast<std::byte const*>(bytes), count});
    if (state.failed) return static_cast<la_ssize_t>(count);
    archive_set_error(archive, -1, "the sink failed");
    return -1;
  }

  Status result(std::string const& name, la_ssize_t code) {
    if (code >= ARCHIVE_OK) return {};
    if (!failed) return fail(failed.error());
    char const* why = archive_error_string(archive);
    return fail(Code::kInternal,
                fmt::format("write {} into the archive: {}", name, why ? why : "unknown error"));
  }

  Status header(Entry const& entry) {
    return result(archive_entry_pathname(entry.get()), archive_write_header(archive, entry.get()));
  }
};

TarWriter::TarWriter(Sink sink) : state_(std::make_unique<State>()) {
  state_->sink = std::move(sink);
  state_->archive = archive_write_new();
  archive_write_set_format_gnutar(state_->archive);
  // No blocking of its own: large pieces go on without a copy.
  archive_write_set_bytes_per_block(state_->archive, 0);
  archive_write_open2(state_->archive, state_.get(), nullptr, State::take, nullptr, nullptr);
}

TarWriter::~TarWriter() {
  // What is not finished must not look finished: the padding and the end that libarchive would
  // still write go nowhere. (archive_write_fail() would do that as well, but leaks.)
  state_->abandoned = true;
  archive_write_free(state_->archive);
}

Status TarWriter::begin_file(std::string const& name, std::uint64_t size_bytes) {
  return state_->header(file_entry(name, size_bytes));
}

Status TarWriter::write(std::span<std::byte const> bytes) {
  while (!bytes.empty()) {
    auto const written = archive_write_data(state_->archive, bytes.data(), bytes.size());
    RETURN_IF_ERROR(state_->result("content", written));
    if (written == 0) return fail(Code::kInternal, "more content than announced for the archive");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status TarWriter::file(std::string const& name, std::string_view content) {
  RETURN_IF_ERROR(begin_file(name, content.size()));
  return write(std::as_bytes(std::span(content)));
}

Status TarWriter::link(std::string const& name, std::string const& text) {
  return state_->header(link_entry(name, text));
}

Status TarWriter::finish() {
  return state_->result("its end", archive_write_close(state_->archive));
}

namespace {

/// Headers only: content and its padding are arithmetic.
Result<std::uint64_t> header_bytes(std::string const& name, std::string const* link_text,
                                   std::uint64_t size_bytes) {
  std::uint64_t count = 0;
  TarWriter writer([&](std::span<std::byte const> bytes) -> Status {
    count += bytes.size();
    return {};
  });
  RETURN_IF_ERROR(link_text != nullptr ? writer.link(name, *link_text)
                                       : writer.begin_file(name, size_bytes));
  return count;
}

}  // namespace

Result<std::uint64_t> tar_file_bytes(std::string const& name, std::uint64_t size_bytes) {
  ASSIGN_OR_RETURN(auto const header, header_bytes(name, nullptr, size_bytes));
  std::uint64_t const blocks = (size_bytes + kTarBlockBytes - 1) / kTarBlockBytes;
  return header + blocks * kTarBlockBytes;
}

Result<std::uint64_t> tar_link_bytes(std::string const& name, std::string const& text) {
  return header_bytes(name, &text, 0);
}

}  // namespace homelab::cache
