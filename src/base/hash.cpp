#include "base/hash.h"

#include <fmt/format.h>

#include <stdexcept>
#include <vector>

#include "crypto_library.h"

namespace homelab {
namespace {
std::string to_hex(std::span<unsigned char const> bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char const byte : bytes) {
    out.push_back(kDigits[byte >> 4U]);
    out.push_back(kDigits[byte & 15U]);
  }
  return out;
}
}  // namespace

struct Hasher::State {
  explicit State(EVP_MD const* kind) : context(crypto().md_ctx_new()) {
    if (!context || crypto().digest_init(context, kind, nullptr) != 1)
      throw std::runtime_error("the cryptographic library refuses to start a hash");
  }
  ~State() { crypto().md_ctx_free(context); }
  State(State const&) = delete;
  State& operator=(State const&) = delete;
  EVP_MD_CTX* context;
};

Hasher::Hasher(std::unique_ptr<State> state) : state_(std::move(state)) {}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

Hasher Hasher::sha256() { return Hasher(std::make_unique<State>(crypto().sha256())); }

Hasher Hasher::git_blob(std::uint64_t size_bytes) {
  Hasher hasher(std::make_unique<State>(crypto().sha1()));
  hasher.update(fmt::format("blob {}", size_bytes));
  hasher.update(std::string_view("\0", 1));
  return hasher;
}

void Hasher::update(std::span<std::byte const> bytes) {
  crypto().digest_update(state_->context, bytes.data(), bytes.size());
}

std::string Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  crypto().digest_final(state_->context, digest.data(), &length);
  return to_hex(std::span(digest).first(length));
}

std::string sha256_hex(std::string_view text) {
  Hasher hasher = Hasher::sha256();
  hasher.update(text);
  return hasher.finish();
}

std::string random_hex(std::size_t count) {
  std::vector<unsigned char> bytes(count);
  if (crypto().rand_bytes(bytes.data(), static_cast<int>(count)) != 1)
    throw std::runtime_error("no random bytes from the cryptographic library");
  return to_hex(bytes);
}

}  // namespace homelab
