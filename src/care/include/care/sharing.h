#pragma once
// One copy of everything: `cache dedup`, `cache bridge`, `cache adopt`.
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "cache/adopt.h"
#include "cache/bridge.h"
#include "cache/dedup.h"
#include "care/work.h"

namespace homelab::care {

struct DedupChoice {
  bool dry_run = false;
};
/// Over both locations: what is on one file system is shared whatever location it belongs to.
[[nodiscard]] Result<cache::DedupReport> dedup(Work const& work, DedupChoice const& choice);
[[nodiscard]] std::string_view word_of(cache::SharedBlob::How how);  ///< "reflink", ...
[[nodiscard]] json::object to_json(cache::DedupReport const& report, bool dry_run);

struct BridgeChoice {
  Place place;  ///< whose root; empty: the primary one
  bool dry_run = false;
  bool undo = false;
};
[[nodiscard]] Result<cache::BridgeReport> bridge(Work const& work, BridgeChoice const& choice);
[[nodiscard]] json::object to_json(cache::BridgeReport const& report, bool dry_run);

struct AdoptChoice {
  std::vector<std::string> sources;
  std::string as;  ///< "ORG/NAME" of a loose file or folder, or empty
  Place place;     ///< that takes them in; empty: the primary location
  bool move = false;
  bool copy = false;
  bool dry_run = false;
};
struct Adopted {
  std::vector<cache::AdoptReport> reports;
  std::vector<std::string> problems;
  std::vector<std::string> remarks;  ///< of the sources
};

[[nodiscard]] Result<Adopted> adopt(Work const& work, AdoptChoice const& choice);
[[nodiscard]] json::object to_json(Adopted const& adopted, bool dry_run);

[[nodiscard]] Result<Answer> run(Work const& work, DedupChoice const& choice);
[[nodiscard]] Result<Answer> run(Work const& work, BridgeChoice const& choice);
[[nodiscard]] Result<Answer> run(Work const& work, AdoptChoice const& choice);

}  // namespace homelab::care
