#pragma once
// What was found good in one repository folder, so that it need not be read again while its facts
// are the same. Only a hint to save work: a record that is damaged, missing or of another version
// is empty.
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "content_check.h"
#include "folder_at.h"

namespace homelab::cache {

struct Verified {
  std::string hash;  ///< that the content had
  FileFacts facts;
  std::int64_t when_s = 0;  ///< since 1970, UTC
  friend bool operator==(Verified const&, Verified const&) = default;
};
/// By path in the repository folder: "blobs/<name>", "snapshots/<commit>/<path>".
using VerifiedRecord = std::map<std::string, Verified, std::less<>>;

/// Text form: a version line, one line per file, a line with the hash of all before. At most
/// kMaxVerified files, the rest is not remembered.
inline constexpr std::size_t kMaxVerified = 250'000;
[[nodiscard]] std::string to_text(VerifiedRecord const& record);
/// Empty for anything that to_text() would not have written.
[[nodiscard]] VerifiedRecord parse_verified(std::string_view text);

/// The records of one hub folder: <hub>/.locks/.homelab-llm/verified/<repo folder>.
class VerifiedRecords {
 public:
  explicit VerifiedRecords(os::Path hub_folder) : hub_folder_(std::move(hub_folder)) {}
  /// Empty when there is none or it is worth nothing.
  [[nodiscard]] VerifiedRecord read(std::string const& repo_folder_name) const;
  /// Completely or not at all. An error (a read-only cache) costs only that nothing is remembered.
  [[nodiscard]] Status write(std::string const& repo_folder_name,
                             VerifiedRecord const& record) const;

 private:
  os::Path hub_folder_;
};

}  // namespace homelab::cache
