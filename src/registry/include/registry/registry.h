#pragma once
// The registry database: SQLite in WAL mode, one writer (design §9). Opens and upgrades the
// original's models.db. All functions are thread-safe and block for disk work.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "registry/model.h"
#include "registry/runs.h"

namespace homelab::registry {

class Registry {
 public:
  /// Opens or makes the file, runs missing migrations (each in one transaction; an existing file is
  /// copied to
  /// "<file>.backup-<schema>-<time>" first). kDataLoss: not a database or corrupted; the file is
  /// left untouched.
  [[nodiscard]] static Result<std::unique_ptr<Registry>> open(std::filesystem::path const& file,
                                                              Retention retention = {});
  virtual ~Registry() = default;  ///< flushes queued performance rows

  /// kAlreadyExists when the name is taken.
  [[nodiscard]] virtual Result<Model> add(NewModel const& model) = 0;
  /// By id.
  [[nodiscard]] virtual Result<std::vector<Model>> list() = 0;
  /// Exact name after trimming; also finds (and repairs) legacy rows stored with stray blanks.
  /// kNotFound.
  [[nodiscard]] virtual Result<Model> find(std::string_view name) = 0;
  [[nodiscard]] virtual Result<Model> find_id(std::int64_t id) = 0;
  /// Removes the row; its performance rows stay with a null link.
  [[nodiscard]] virtual Status remove(std::int64_t id) = 0;

  /// Row is `testing` on disk before a load is tried. Gives the status it had.
  [[nodiscard]] virtual Result<std::optional<std::string>> begin_load(std::int64_t id) = 0;
  /// Facts, total_loads + 1, last_loaded = now, status per registry/compatibility.h.
  [[nodiscard]] virtual Result<Model> finish_load(
      std::int64_t id, LoadFacts const& facts,
      std::optional<std::string> const& previous_status) = 0;
  /// Writes status and notes after a failed load (values from registry/compatibility.h).
  [[nodiscard]] virtual Status fail_load(std::int64_t id, std::optional<std::string> const& status,
                                         std::optional<std::string> const& notes) = 0;
  /// An update check ended: its answer, and now as the time of it. `local_commit` becomes the
  /// current commit of a row that has none yet (contract §2.3).
  [[nodiscard]] virtual Result<Model> record_update_check(
      std::int64_t id, bool available, std::optional<std::string> const& local_commit) = 0;
  /// Writes the members of `change` that are set; an inner nullopt clears the field.
  [[nodiscard]] virtual Result<Model> set_config(std::int64_t id, ConfigChange const& change) = 0;
  /// Writes the members of `change` that are set. Numbers that are not finite become null.
  [[nodiscard]] virtual Result<Model> set_metadata(std::int64_t id,
                                                   MetadataChange const& change) = 0;
  /// The model's files were moved to `commit` while it was not loaded.
  [[nodiscard]] virtual Result<Model> record_update(std::int64_t id, std::string const& commit) = 0;

  /// Their files stand elsewhere now: all rows change together or none. kNotFound for a name that
  /// is not registered.
  [[nodiscard]] virtual Result<std::vector<Model>> relocate(Relocation const& relocation) = 0;

  /// Start-up: rows still `testing` belong to a process that died while loading; they become
  /// `incompatible` with a dated remark in front of the old notes. Gives their names.
  [[nodiscard]] virtual Result<std::vector<std::string>> recover_interrupted_loads() = 0;

  /// Queues a row for the writer thread and counts the inference on the model; never blocks on the
  /// disk. A full queue (bound 4096) drops the row and counts it in dropped_rows().
  virtual void log_performance(PerformanceRow row) = 0;
  /// Waits until everything queued so far is on disk.
  virtual void flush() = 0;
  [[nodiscard]] virtual std::uint64_t dropped_rows() const = 0;
  /// Newest first, 100,000 at most; a negative limit asks for that many.
  [[nodiscard]] virtual Result<std::vector<PerformanceRow>> recent_performance(
      std::int64_t model_id, int limit) = 0;
  [[nodiscard]] virtual Result<PerformanceSummary> summarize_performance(std::int64_t model_id) = 0;

  /// Percentiles and counts over any number of runs, out of their figures by hour and day. Waits
  /// for no other call of this class but its like.
  [[nodiscard]] virtual Result<RunAnswer> run_figures(RunQuestion const& question) = 0;
  /// A model's newest runs against the 30 days before them.
  [[nodiscard]] virtual Result<RunComparison> compare_runs(std::string_view model) = 0;
  /// Rows in the order of ids, those with an id above `after`; 1,000 at most.
  [[nodiscard]] virtual Result<std::vector<PerformanceRow>> runs_after(RunFilter const& filter,
                                                                       std::int64_t after,
                                                                       int limit) = 0;
  /// The newest first, those with an id below `before`; 1,000 at most.
  [[nodiscard]] virtual Result<std::vector<PerformanceRow>> runs_before(RunFilter const& filter,
                                                                        std::int64_t before,
                                                                        int limit) = 0;

  /// A switch as it was set last, by this or an earlier process; nullopt: never.
  [[nodiscard]] virtual Result<std::optional<bool>> switch_state(std::string_view name) = 0;
  [[nodiscard]] virtual Status remember_switch(std::string_view name, bool on) = 0;
};

}  // namespace homelab::registry
