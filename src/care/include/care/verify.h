#pragma once
// Every file against its hash; bad ones out of service and, if asked, fetched again: `cache
// verify`.
#include <string>
#include <vector>

#include "cache/verify.h"
#include "care/work.h"

namespace homelab::care {

struct VerifyChoice {
  std::vector<std::string> repos;  ///< empty = all
  Place place;
  bool all_again = false;   ///< also what was good before
  bool repair = false;      ///< download bad and missing files again; needs Work::hub
  bool keep_wrong = false;  ///< bad content stays in quarantine when it was replaced
  bool dry_run = false;     ///< only report
  unsigned threads = 0;     ///< 0 = processors
};

/// A finding and what a repair made of it.
struct Checked {
  cache::VerifyFinding finding;
  bool repaired = false;
  [[nodiscard]] bool is_bad() const { return !repaired && cache::is_bad(finding); }
};

struct CheckedRepo {
  cache::VerifiedRepo repo;
  std::vector<Checked> findings;
};

struct Verified {
  struct Totals {
    std::size_t checked_files = 0, remembered_files = 0, bad = 0, repaired = 0;
    std::uint64_t checked_bytes = 0, remembered_bytes = 0;
    std::uint64_t downloaded_bytes = 0, freed_bytes = 0;
  };
  std::vector<CheckedRepo> repos;
  Totals totals;
  bool cancelled = false;
};

/// Errors: a word that means no repository, a folder that cannot be read at all. What a repair
/// could not mend is a remark and stays bad. A repair that is stopped is as far as it came.
[[nodiscard]] Result<Verified> verify(Work const& work, VerifyChoice const& choice);
/// False while something bad remains, or not everything was looked at.
[[nodiscard]] bool is_clean(Verified const& verified);
[[nodiscard]] json::object to_json(Verified const& verified);

[[nodiscard]] Result<Answer> run(Work const& work, VerifyChoice const& choice);

}  // namespace homelab::care
