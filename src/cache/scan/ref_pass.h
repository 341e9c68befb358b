#pragma once
// Third pass: which names point to which commit.
#include <string>

#include "findings.h"

namespace homelab::cache::scan {

class RefPass {
 public:
  explicit RefPass(Findings& findings) : findings_(findings) {}

  /// After the snapshots: refs are given to their revisions.
  void read(OpenFolder const& repo);

 private:
  void read_folder(OpenFolder const& folder, std::string const& prefix, int depth);
  void read_file(OpenFolder const& folder, char const* name, std::string const& ref);
  void assign(std::string const& ref, CommitHash const& commit);

  Findings& findings_;
};

}  // namespace homelab::cache::scan
