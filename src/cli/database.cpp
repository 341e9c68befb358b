// db check, db backup, db restore: the registry's file, with or without a server.
#include <fmt/format.h>

#include "base/strings.h"
#include "commands.h"
#include "exit_code.h"
#include "table.h"

namespace homelab::cli {
namespace {

json::object health_value(DatabaseState const& state) {
  json::array damage;
  for (auto const& line : state.damage) damage.emplace_back(line);
  return {{"database", state.file.string()}, {"ok", state.damage.empty()},
          {"schema", state.schema},          {"size_bytes", state.size_bytes},
          {"models", state.models},          {"performance_rows", state.performance_rows},
          {"damage", std::move(damage)}};
}

std::string health_text(DatabaseState const& state) {
  std::string text = printable(state.file.string());
  if (state.damage.empty()) {
    return text + fmt::format(": whole; {}, {}, {}, schema {}\n",
                              counted(static_cast<std::uint64_t>(state.models), "model"),
                              counted(static_cast<std::uint64_t>(state.performance_rows),
                                      "performance row"),
                              human_bytes(state.size_bytes), state.schema);
  }
  text += ": DAMAGED\n";
  for (auto const& line : state.damage) text += "  " + printable(line) + "\n";
  return text;
}

}  // namespace

Outcome execute(Context const& context, DbCheckCommand const& command) {
  auto const file = command.file.value_or(context.settings.database_path());
  ASSIGN_OR_RETURN(auto const state, context.hooks.database.check(file));
  context.out.text(health_text(state));
  context.out.value(health_value(state));
  if (state.damage.empty()) return kExitDone;
  if (state.newest_backup)
    context.out.remark(fmt::format("the newest copy: homelab-llm db restore {}",
                                   printable(state.newest_backup->string())));
  return kExitFailed;
}

Outcome execute(Context const& context, DbBackupCommand const& command) {
  auto const file = context.settings.database_path();
  ASSIGN_OR_RETURN(auto const copy, context.hooks.database.backup(file, command.to));
  context.out.text(
      fmt::format("{} is copied to {}\n", printable(file.string()), printable(copy.string())));
  context.out.value(json::object{{"database", file.string()}, {"backup", copy.string()}});
  return kExitDone;
}

Outcome execute(Context const& context, DbRestoreCommand const& command) {
  auto const file = context.settings.database_path();
  ASSIGN_OR_RETURN(auto const done, context.hooks.database.restore(command.from, file));
  context.out.text(health_text(done.state));
  if (done.replaced)
    context.out.remark(
        fmt::format("what stood there is kept: {}", printable(done.replaced->string())));
  json::object value = health_value(done.state);
  value["from"] = command.from.string();
  value["replaced"] = done.replaced ? json::value(done.replaced->string()) : json::value(nullptr);
  context.out.value(value);
  return kExitDone;
}

}  // namespace homelab::cli
