#pragma once
// Repositories as one tar: `cache export` and `cache import`.
#include <string>
#include <vector>

#include "base/json.h"
#include "cache/archive.h"
#include "care/work.h"

namespace homelab::care {

struct ExportChoice {
  std::vector<std::string> repos;  ///< ORG/NAME[@REVISION]
  std::string revision;            ///< of those that name none; empty: all
  Place place;
  std::string file;  ///< that is written; "-" is none of this module's business
  bool dry_run = false;
};
/// kInvalidArgument for a word that is no repository or one that stands in two places; the rest as
/// cache::plan_export.
[[nodiscard]] Result<cache::ExportPlan> plan(Work const& work, ExportChoice const& choice);
[[nodiscard]] json::object to_json(ExportChoice const& choice, cache::ExportPlan const& plan);
[[nodiscard]] Result<Answer> run(Work const& work, ExportChoice const& choice);

struct ImportChoice {
  std::string file;
  Place place;         ///< that takes it in; empty: the primary location
  bool force = false;  ///< refs that name another commit here are moved
  bool dry_run = false;
};
struct Imported {
  cache::Path hub_folder;
  cache::ImportReport report;
};
/// `archive` is open for reading at its beginning and is named `choice.file` in messages. The
/// location's limit is kept; see cache::import_archive for the errors.
[[nodiscard]] Result<Imported> import(Work const& work, ImportChoice const& choice, int archive);
[[nodiscard]] json::object to_json(ImportChoice const& choice, Imported const& imported);
/// Opens the file itself.
[[nodiscard]] Result<Answer> run(Work const& work, ImportChoice const& choice);

/// What the work's surroundings ask and tell, for the cache's own functions.
[[nodiscard]] cache::TransferControl control_of(Work const& work, std::string what);

}  // namespace homelab::care
