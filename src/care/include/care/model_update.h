#pragma once
// One registered model to its newest revision, and away with what it needed before: the original's
// update (contract §2.3, §5.7).
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "care/work.h"

namespace homelab::care {

struct ModelUpdateChoice {
  std::string name;
  bool collect_garbage = true;
};

/// Blobs of the model's repository. Those of other revisions, of files in sub-folders and what
/// somebody is downloading right now are no garbage.
struct Collected {
  std::size_t total_blobs = 0;       ///< before
  std::size_t deleted_blobs = 0;     ///< into the trash, when there is one
  std::size_t referenced_blobs = 0;  ///< afterwards
  std::uint64_t freed_bytes = 0;     ///< content of the deleted ones
};

struct ModelUpdated {
  std::optional<cache::CommitHash> before;  ///< both empty: a local file or folder
  std::optional<cache::CommitHash> commit;
  std::uint64_t downloaded_bytes = 0;
  std::optional<Collected> collected;
  std::string not_collected;  ///< why, when it should have been
};

/// Unlike update() it downloads what is not here yet. Every model of the same ref goes along; their
/// rows are told to Work::record_update. The revision that was replaced goes too, if no ref and no
/// registered model needs it. kNotFound: no such model. Else see update(), hub::Downloader::ensure.
[[nodiscard]] Result<ModelUpdated> update_model(Work const& work, ModelUpdateChoice const& choice);

}  // namespace homelab::care
