#include "crypto_library.h"

#include "base/os/shared_library.h"

namespace homelab {
namespace {

CryptoLibrary load() {
  SharedLibrary const library("libcrypto.so.3", "libssl3");
  CryptoLibrary out{};
  library.find("EVP_MD_CTX_new", out.md_ctx_new);
  library.find("EVP_MD_CTX_free", out.md_ctx_free);
  library.find("EVP_DigestInit_ex", out.digest_init);
  library.find("EVP_DigestUpdate", out.digest_update);
  library.find("EVP_DigestFinal_ex", out.digest_final);
  library.find("EVP_sha1", out.sha1);
  library.find("EVP_sha256", out.sha256);
  library.find("RAND_bytes", out.rand_bytes);
  return out;
}

}  // namespace

CryptoLibrary const& crypto() {
  static CryptoLibrary const library = load();
  return library;
}

}  // namespace homelab
