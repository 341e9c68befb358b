// The third seam: how memory is set to zero.
//
// The library allocates keys and values for the whole context of all slots, and zeroes them, which
// makes all of it real: 755 MB for a model of 98 MB with four slots of 8192 tokens, most of which
// are never used. Here the kernel is told to forget the pages instead. They read as zero, as they
// must, and take memory when a token comes to lie on them. The library's calls of
// ggml_backend_buffer_clear find ours first, because the executable exports it.
#include <dlfcn.h>
#include <ggml-backend.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace {

using Clear = void (*)(ggml_backend_buffer_t, std::uint8_t);

/// Less is not worth a call into the kernel.
constexpr std::size_t kWorthwhile = 1U << 20U;

Clear library_clear() {
  static auto const clear =
      reinterpret_cast<Clear>(::dlsym(RTLD_NEXT, "ggml_backend_buffer_clear"));
  return clear;
}

/// Whether the buffer is private memory of this process, which the plain type of the processor
/// alone promises.
bool is_plain(ggml_backend_buffer_t buffer) {
  return ggml_backend_buffer_get_type(buffer) == ggml_backend_cpu_buffer_type();
}

/// False if nothing was done: locked or huge pages stay.
bool forget(unsigned char* begin, std::size_t size) {
  auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::size_t const before = (page - reinterpret_cast<std::uintptr_t>(begin) % page) % page;
  if (size < before + kWorthwhile) return false;
  std::size_t const whole = (size - before) / page * page;
  if (::madvise(begin + before, whole, MADV_DONTNEED) != 0) return false;
  std::memset(begin, 0, before);
  std::memset(begin + before + whole, 0, size - before - whole);
  return true;
}

}  // namespace

// Same name and type as the library's function.
extern "C" void ggml_backend_buffer_clear(ggml_backend_buffer_t buffer, std::uint8_t value) {
  bool const done = value == 0 && is_plain(buffer) &&
                    forget(static_cast<unsigned char*>(ggml_backend_buffer_get_base(buffer)),
                           ggml_backend_buffer_get_size(buffer));
  if (!done) library_clear()(buffer, value);
}
