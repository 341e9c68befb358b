#include "crypto_library.h"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace homelab {
namespace {

constexpr char const* kFile = "libcrypto.so.3";

template <class Function>
void find(void* library, char const* name, Function& function) {
  void* const address = ::dlsym(library, name);
  if (address == nullptr) throw std::runtime_error(std::string(kFile) + " has no " + name);
  function = reinterpret_cast<Function>(address);
}

CryptoLibrary load() {
  void* const library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps it per thread
    char const* const why = ::dlerror();
    throw std::runtime_error(
        std::string("the cryptographic library cannot be loaded (install the package libssl3): ") +
        (why != nullptr ? why : kFile));
  }
  CryptoLibrary out{};
  find(library, "EVP_MD_CTX_new", out.md_ctx_new);
  find(library, "EVP_MD_CTX_free", out.md_ctx_free);
  find(library, "EVP_DigestInit_ex", out.digest_init);
  find(library, "EVP_DigestUpdate", out.digest_update);
  find(library, "EVP_DigestFinal_ex", out.digest_final);
  find(library, "EVP_sha1", out.sha1);
  find(library, "EVP_sha256", out.sha256);
  find(library, "RAND_bytes", out.rand_bytes);
  return out;
}

}  // namespace

CryptoLibrary const& crypto() {
  static CryptoLibrary const library = load();
  return library;
}

}  // namespace homelab
