#pragma once
// What may still come in an archive after its manifest. Private to the cache module.
#include <cstddef>
#include <map>
#include <string>

#include "base/result.h"
#include "cache/archive_manifest.h"
#include "tar_reader.h"

namespace homelab::cache {

/// Indices into the manifest.
struct ExpectedMember {
  enum class Kind { kFolder, kBlob, kLink, kListing, kAbsent, kRef };
  Kind kind = Kind::kFolder;
  std::size_t repo = 0;
  std::size_t revision = 0;
  std::size_t item = 0;
};

class ExpectedMembers {
 public:
  explicit ExpectedMembers(ArchiveManifest const& manifest);

  /// What this member is. kDataLoss: not announced, a second time, of another kind, size or link
  /// text. A folder that holds announced members is fine, as often as it likes to come.
  [[nodiscard]] Result<ExpectedMember> take(TarMember const& member);

  /// kDataLoss names a member that did not come.
  [[nodiscard]] Status all_came() const;

 private:
  struct Entry {
    ExpectedMember what;
    bool came = false;
  };
  [[nodiscard]] Status check(ExpectedMember const& what, TarMember const& member) const;
  [[nodiscard]] bool is_folder_of_some(std::string name) const;

  ArchiveManifest const& manifest_;
  std::map<std::string, Entry> entries_;
};

/// A member's name as it may stand in a message: short, without control characters.
[[nodiscard]] std::string shown_member(std::string_view name);

}  // namespace homelab::cache
