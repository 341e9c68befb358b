#include "loader/virtual_gguf.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/os/file.h"

namespace homelab::loader {
namespace {

class Reader {
 public:
  Reader(std::shared_ptr<ModelPlan const> plan, std::string* reason)
      : plan_(std::move(plan)),
        reason_(reason),
        nothing_(::memfd_create("virtual_gguf", MFD_CLOEXEC)) {}

  /// Of an empty file; negative if there is none.
  [[nodiscard]] int descriptor() const { return nothing_.get(); }

  ssize_t read(std::span<std::byte> out) {
    std::size_t done = 0;
    while (done < out.size() && position_ < plan_->size_bytes()) {
      auto const got = read_piece(out.subspan(done));
      if (!got) {
        if (reason_) *reason_ = got.error().message;
        errno = EIO;
        return -1;
      }
      done += *got;
      position_ += *got;
    }
    return static_cast<ssize_t>(done);
  }

  int seek(off64_t* offset, int whence) {
    auto const size = static_cast<off64_t>(plan_->size_bytes());
    off64_t const base = whence == SEEK_SET   ? 0
                         : whence == SEEK_CUR ? static_cast<off64_t>(position_)
                                              : size;
    off64_t target = 0;
    if (__builtin_add_overflow(base, *offset, &target) || target < 0) {
      errno = EINVAL;
      return -1;
    }
    position_ = static_cast<std::uint64_t>(target);
    *offset = target;
    return 0;
  }

 private:
  /// At least one byte from where we are: of the header, of one tensor, or of the padding behind
  /// it.
  Result<std::size_t> read_piece(std::span<std::byte> out) {
    auto const& header = plan_->header();
    if (position_ < header.size()) {
      auto const piece = std::min<std::size_t>(out.size(), header.size() - position_);
      std::memcpy(out.data(), header.data() + position_, piece);
      return piece;
    }
    std::uint64_t const at = position_ - header.size();
    auto const& tensors = plan_->tensors();
    auto next = std::upper_bound(
        tensors.begin(), tensors.end(), at,
        [](std::uint64_t offset, PlannedTensor const& t) { return offset < t.offset; });
    std::uint64_t const end =
        next == tensors.end() ? plan_->size_bytes() - header.size() : next->offset;
    auto const& tensor = *std::prev(next);
    std::uint64_t const inside = at - tensor.offset;
    if (inside >= tensor.bytes) {
      auto const piece = std::min<std::size_t>(out.size(), end - at);
      std::fill_n(out.begin(), piece, std::byte{0});
      return piece;
    }
    return read_tensor(tensor, inside, out.first(std::min(out.size(), tensor.bytes - inside)));
  }

  /// Up to the end of what is made at a time.
  Result<std::size_t> read_tensor(PlannedTensor const& tensor, std::uint64_t inside,
                                  std::span<std::byte> out) {
    std::uint64_t const part = inside / tensor.part_bytes();
    std::uint64_t const from = inside % tensor.part_bytes();
    if (tensor.is_copy()) {
      out = out.first(std::min<std::size_t>(out.size(), tensor.part_bytes() - from));
      auto const& source = tensor.sources[part];
      RETURN_IF_ERROR(source.file->read(source.info->offset + from, out));
      return out.size();
    }
    std::uint64_t const slice = tensor.slice_rows();
    std::uint64_t const row = from / tensor.row_bytes() / slice * slice;
    Kept const wanted{&tensor, part, row};
    if (kept_ != wanted) {
      kept_ = {};
      bytes_.resize(std::min(slice, tensor.part_rows() - row) * tensor.row_bytes());
      RETURN_IF_ERROR(ModelPlan::materialise_rows(tensor, part, row, bytes_));
      kept_ = wanted;
    }
    std::uint64_t const skip = from - row * tensor.row_bytes();
    out = out.first(std::min<std::size_t>(out.size(), bytes_.size() - skip));
    std::memcpy(out.data(), bytes_.data() + skip, out.size());
    return out.size();
  }

  /// Which rows `bytes_` holds.
  struct Kept {
    PlannedTensor const* tensor = nullptr;
    std::uint64_t part = 0;
    std::uint64_t first_row = 0;
    bool operator==(Kept const&) const = default;
  };

  std::shared_ptr<ModelPlan const> plan_;
  std::string* reason_;
  os::UniqueFd nothing_;
  std::uint64_t position_ = 0;
  Kept kept_;
  std::vector<std::byte> bytes_;
};

// The C library calls these; no exception may pass through it.
ssize_t read_cookie(void* cookie, char* buffer, std::size_t size) {
  try {
    return static_cast<Reader*>(cookie)->read(std::as_writable_bytes(std::span(buffer, size)));
  } catch (std::exception const&) {
    errno = ENOMEM;
    return -1;
  }
}

int seek_cookie(void* cookie, off64_t* offset, int whence) {
  return static_cast<Reader*>(cookie)->seek(offset, whence);
}

int close_cookie(void* cookie) {
  delete static_cast<Reader*>(cookie);
  return 0;
}

}  // namespace

Result<FilePtr> open_virtual_gguf(std::shared_ptr<ModelPlan const> plan, std::string* reason) {
  auto* const reader = new Reader(std::move(plan), reason);  // the FILE owns it, see close_cookie
  cookie_io_functions_t const functions{read_cookie, nullptr, seek_cookie, close_cookie};
  FilePtr file(::fopencookie(reader, "rb", functions));
  if (!file) {
    delete reader;
    return fail(Code::kResourceExhausted, "no memory for a virtual file");
  }
#ifdef __GLIBC__
  // The C library has no call for this; without it fileno() fails, and nobody can map the file.
  if (reader->descriptor() >= 0) file->_fileno = reader->descriptor();
#endif
  return file;
}

}  // namespace homelab::loader
