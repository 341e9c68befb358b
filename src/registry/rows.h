#pragma once
// Between rows of the two tables and values.
#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <string_view>

#include "registry/model.h"

namespace homelab::registry {

/// Column names of `modelregistry` in the order in which read_model() takes them.
[[nodiscard]] std::string const& model_columns();
/// From a row that begins with model_columns(). Lenient: text that is no time, or a number that is
/// not finite, counts as absent, so that one odd row never hides the others.
[[nodiscard]] Model read_model(SQLite::Statement& row);

/// All but the id, which the database gives, and the total, which is a sum.
[[nodiscard]] std::string const& performance_columns();
/// From a row that begins with the id and performance_columns().
[[nodiscard]] PerformanceRow read_performance(SQLite::Statement& row);
/// From the columns of PerformanceSummary in their order.
[[nodiscard]] PerformanceSummary read_summary(SQLite::Statement& row);
/// INSERT with named parameters for bind_performance(); a link to a model that is gone becomes
/// null.
[[nodiscard]] std::string const& performance_insert();
void bind_performance(SQLite::Statement& insert, PerformanceRow const& row);

void bind_optional(SQLite::Statement& statement, char const* name,
                   std::optional<std::string> const& value);
void bind_optional(SQLite::Statement& statement, char const* name,
                   std::optional<std::int64_t> value);
/// Numbers that are not finite are written as null.
void bind_optional(SQLite::Statement& statement, char const* name, std::optional<double> value);

}  // namespace homelab::registry
