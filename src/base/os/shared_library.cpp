#include "base/os/shared_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace homelab {

SharedLibrary::SharedLibrary(std::string file, std::string package)
    : file_(std::move(file)),
      package_(std::move(package)),
      handle_(::dlopen(file_.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ != nullptr) return;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps it per thread
  char const* const why = ::dlerror();
  throw std::runtime_error(fmt::format("{} cannot be loaded (install the package {}): {}", file_,
                                       package_, why != nullptr ? why : "no reason is given"));
}

void* SharedLibrary::address_of(char const* name) const {
  void* const address = ::dlsym(handle_, name);
  if (address != nullptr) return address;
  throw std::runtime_error(fmt::format(
      "{} has no function {}: it is too old (install a newer package {})", file_, name, package_));
}

}  // namespace homelab
