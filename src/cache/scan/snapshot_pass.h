#pragma once
// Second pass: the paths of every revision and the blobs that they lead to.
#include <string>
#include <string_view>

#include "blob_pass.h"
#include "findings.h"

namespace homelab::cache::scan {

class SnapshotPass {
 public:
  SnapshotPass(Findings& findings, BlobPass& blobs) : findings_(findings), blobs_(blobs) {}

  void read(OpenFolder const& repo);

 private:
  void read_revision(OpenFolder const& snapshots, char const* name);
  void read_folder(OpenFolder const& folder, std::string const& prefix, int depth);
  /// Both false: it vanished, or became something else meanwhile.
  bool add_link(OpenFolder const& folder, char const* name, EntryFacts& entry, int depth);
  bool add_file(OpenFolder const& folder, char const* name, EntryFacts& entry);
  /// Name in blobs/ that the text of a link `depth` folders below the commit's means; empty: it
  /// means something else. Good until the next call.
  [[nodiscard]] std::string_view blob_name_of(std::string_view text, OpenFolder const& folder,
                                              int depth);

  Findings& findings_;
  BlobPass& blobs_;
  std::vector<EntryFacts> entries_;  ///< of the revision that is being read
  std::size_t files_ = 0;            ///< likewise
  std::size_t dangling_ = 0;         ///< likewise
  std::string name_;                 ///< what blob_name_of() gave, in the rare case
};

}  // namespace homelab::cache::scan
