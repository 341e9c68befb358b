#pragma once
// One SQLite connection with this program's settings, and SQLite's exceptions turned into values.
#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>
#include <string>
#include <type_traits>

#include "base/result.h"

namespace homelab::registry {

using Connection = std::unique_ptr<SQLite::Database>;

/// Opens the file with foreign keys on and a busy wait of 10 s. `create`: make it when it is
/// missing. Does not change the file. kDataLoss: not a database. kPermissionDenied, kNotFound: the
/// message names the folder.
[[nodiscard]] Result<Connection> open_connection(std::filesystem::path const& file, bool create);

/// kDataLoss for corruption, kResourceExhausted for a full disk, kUnavailable for a lock that
/// another program holds too long, kAlreadyExists for a taken unique name, and so on.
[[nodiscard]] Error to_error(SQLite::Exception const& thrown);

/// Runs `work` (which gives a Result or a Status) and turns what SQLite throws into an error value.
template <class Work>
std::invoke_result_t<Work&> contain(Work&& work) {
  try {
    return work();
  } catch (SQLite::Exception const& thrown) {
    return fail(to_error(thrown));
  }
}

/// BEGIN IMMEDIATE: waits for other writers at the beginning, so that nothing fails half-way. Rolls
/// back unless commit() was called.
class WriteTransaction {
 public:
  explicit WriteTransaction(SQLite::Database& database)
      : transaction_(database, SQLite::TransactionBehavior::IMMEDIATE) {}
  void commit() { transaction_.commit(); }

 private:
  SQLite::Transaction transaction_;
};

}  // namespace homelab::registry
