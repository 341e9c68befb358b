#pragma once
// The cryptographic library, loaded with the first hash: relocating it takes a quarter of the start
// of a command that hashes nothing (docs/decisions, "Two libraries are loaded when they are
// needed"). Private to hash.cpp.
#include <openssl/evp.h>
#include <openssl/rand.h>

namespace homelab {

/// Its functions that are used here, under their own names.
struct CryptoLibrary {
  decltype(&::EVP_MD_CTX_new) md_ctx_new;
  decltype(&::EVP_MD_CTX_free) md_ctx_free;
  decltype(&::EVP_DigestInit_ex) digest_init;
  decltype(&::EVP_DigestUpdate) digest_update;
  decltype(&::EVP_DigestFinal_ex) digest_final;
  decltype(&::EVP_sha1) sha1;
  decltype(&::EVP_sha256) sha256;
  decltype(&::RAND_bytes) rand_bytes;
};

/// Thread-safe; stays loaded until the process ends. Throws std::runtime_error when it is not
/// there; after the first call that came back it never does.
[[nodiscard]] CryptoLibrary const& crypto();

}  // namespace homelab
