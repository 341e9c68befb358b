#pragma once
// What was removed and can still come back: `cache undo`, `cache trash`.
#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "cache/trash.h"
#include "care/work.h"

namespace homelab::care {

/// A record and where its trash is.
struct TrashPlace {
  cache::Path hub;
  cache::TrashRecord record;
};
/// Of the primary and the secondary location; only the record `id` unless that is empty (then
/// kNotFound when there is none).
[[nodiscard]] Result<std::vector<TrashPlace>> trash_records(Work const& work,
                                                            std::string const& id);
[[nodiscard]] json::array to_json(std::vector<TrashPlace> const& records);

struct TrashEmptied {
  std::vector<std::string> ids;
  std::uint64_t freed_bytes = 0;
  struct Skipped {
    std::string id;
    std::string why;
  };
  std::vector<Skipped> skipped;
  bool cancelled = false;
  [[nodiscard]] bool complete() const { return skipped.empty() && !cancelled; }
};
/// Deletes the records for good.
[[nodiscard]] TrashEmptied empty(Work const& work, std::vector<TrashPlace> const& records);
[[nodiscard]] json::object to_json(TrashEmptied const& emptied);

struct UndoChoice {
  std::string id;  ///< empty: the newest that can come back
};
struct Undone {
  cache::Path hub;
  std::string reason;
  cache::Restored restored;
};
[[nodiscard]] Result<Undone> undo(Work const& work, UndoChoice const& choice);
[[nodiscard]] json::object to_json(Undone const& undone);

struct TrashEmptyChoice {
  std::string id;  ///< empty: all
};
[[nodiscard]] Result<Answer> run(Work const& work, UndoChoice const& choice);
[[nodiscard]] Result<Answer> run(Work const& work, TrashEmptyChoice const& choice);

}  // namespace homelab::care
