#include "tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace homelab::cache {
namespace {

constexpr std::size_t kReadBytes = 1024UL * 1024;

std::string_view word_of(unsigned type) {
  switch (type) {
    case AE_IFCHR:
    case AE_IFBLK:
      return "a device";
    case AE_IFIFO:
      return "a named pipe";
    case AE_IFSOCK:
      return "a socket";
    default:
      return "neither file, link nor folder";
  }
}

TarMember member_of(struct archive_entry* entry) {
  TarMember out;
  char const* name = archive_entry_pathname(entry);
  if (name == nullptr) name = archive_entry_pathname_utf8(entry);
  if (name != nullptr) out.name = name;
  la_int64_t const size = archive_entry_size(entry);
  out.size_bytes = size > 0 ? static_cast<std::uint64_t>(size) : 0;
  unsigned const type = archive_entry_filetype(entry);
  if (archive_entry_hardlink(entry) != nullptr) {
    out.what = "a hard link";
  } else if (archive_entry_sparse_count(entry) > 0) {
    out.what = "a sparse file";
  } else if (type == AE_IFREG) {
    out.kind = TarMember::Kind::kFile;
  } else if (type == AE_IFDIR) {
    out.kind = TarMember::Kind::kFolder;
  } else if (type == AE_IFLNK) {
    char const* text = archive_entry_symlink(entry);
    if (text == nullptr) text = archive_entry_symlink_utf8(entry);
    out.link_text = text == nullptr ? "" : text;
    out.kind = TarMember::Kind::kLink;
  } else {
    out.what = word_of(type);
  }
  return out;
}

}  // namespace

struct TarReader::State {
  int file = -1;
  bool seekable = false;
  std::function<bool()> cancelled;
  std::vector<std::byte> buffer = std::vector<std::byte>(kReadBytes);
  Status failed;
  struct archive* archive = nullptr;
  std::uint64_t position = 0;  ///< in the current member
  std::string name;            ///< of the current member

  ~State() { archive_read_free(archive); }

  la_ssize_t give_up(Error error) {
    failed = fail(std::move(error));
    archive_set_error(archive, -1, "the source failed");
    return ARCHIVE_FATAL;
  }

  la_ssize_t fill(void const** bytes) {
    while (true) {
      if (cancelled()) return give_up({Code::kCancelled, "stopped; run again to continue"});
      ssize_t const got = ::read(file, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return give_up(fail_errno("read", "the archive", errno).value());
      *bytes = buffer.data();
      return got;
    }
  }

  static la_ssize_t read(struct archive* /*archive*/, void* self, void const** bytes) {
    return static_cast<State*>(self)->fill(bytes);
  }

  static la_int64_t skip(struct archive* /*archive*/, void* self, la_int64_t count) {
    auto const& state = *static_cast<State*>(self);
    if (!state.seekable) return 0;
    return ::lseek(state.file, count, SEEK_CUR) < 0 ? 0 : count;
  }

  tl::unexpected<Error> broken() {
    if (!failed) return fail(failed.error());
    char const* why = archive_error_string(archive);
    return fail(Code::kDataLoss,
                fmt::format("the archive is damaged or cut off {}: {}",
                            name.empty() ? "at its beginning" : "in or after " + name,
                            why ? why : "unknown error"));
  }
};

TarReader::TarReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarReader::TarReader(TarReader&&) noexcept = default;
TarReader& TarReader::operator=(TarReader&&) noexcept = default;
TarReader::~TarReader() = default;

Result<TarReader> TarReader::open(int file, std::function<bool()> cancelled) {
  auto state = std::make_unique<State>();
  state->file = file;
  state->cancelled = std::move(cancelled);
  struct stat found{};
  if (::fstat(file, &found) != 0) return fail_errno("look at", "the archive", errno);
  if (S_ISDIR(found.st_mode)) return fail_errno("read", "the archive", EISDIR);
  state->seekable = S_ISREG(found.st_mode);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
  state->archive = archive_read_new();
  archive_read_support_format_tar(state->archive);
  archive_read_set_read_callback(state->archive, State::read);
  archive_read_set_skip_callback(state->archive, State::skip);
  archive_read_set_callback_data(state->archive, state.get());
  if (archive_read_open1(state->archive) != ARCHIVE_OK) return state->broken();
  return TarReader(std::move(state));
}

Result<std::optional<TarMember>> TarReader::next() {
  struct archive_entry* entry = nullptr;
  int const code = archive_read_next_header(state_->archive, &entry);
  if (code == ARCHIVE_EOF) return std::optional<TarMember>();
  // A warning is about things that nobody reads here, or about the name, which is checked.
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return state_->broken();
  state_->position = 0;
  TarMember member = member_of(entry);
  state_->name = member.name;
  return std::optional(std::move(member));
}

Result<std::span<std::byte const>> TarReader::read() {
  void const* bytes = nullptr;
  std::size_t count = 0;
  la_int64_t offset = 0;
  // Empty blocks say nothing.
  do {
    int const code = archive_read_data_block(state_->archive, &bytes, &count, &offset);
    if (code == ARCHIVE_EOF) return std::span<std::byte const>();
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return state_->broken();
  } while (count == 0);
  if (static_cast<std::uint64_t>(offset) != state_->position)
    return fail(Code::kDataLoss, fmt::format("{} has holes", state_->name));
  state_->position += count;
  return std::span(static_cast<std::byte const*>(bytes), count);
}

}  // namespace homelab::cache
