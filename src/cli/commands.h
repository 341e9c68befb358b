#pragma once
// One function per command. Each prints its own answer; an error is printed by the caller
// (cli.cpp).
#include "base/result.h"
#include "command_line.h"
#include "context.h"

namespace homelab::cli {

/// Exit code of a command that ran to its end.
using Outcome = Result<int>;

// commands_server.cpp
[[nodiscard]] Outcome execute(Context const& context, ServeCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, MirrorCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, LoadCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, UnloadCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, PsCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, VersionCommand const& command);
// ping.cpp
[[nodiscard]] Outcome execute(Context const& context, PingCommand const& command);
// logs.cpp
[[nodiscard]] Outcome execute(Context const& context, LogsCommand const& command);
// commands_models.cpp
[[nodiscard]] Outcome execute(Context const& context, RegisterCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, LsCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, ShowCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, RmCommand const& command);
// commands_generate.cpp
[[nodiscard]] Outcome execute(Context const& context, RunCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, GenerateCommand const& command);
// pull.cpp
[[nodiscard]] Outcome execute(Context const& context, PullCommand const& command);
// update.cpp
[[nodiscard]] Outcome execute(Context const& context, UpdateCommand const& command);
// database.cpp
[[nodiscard]] Outcome execute(Context const& context, DbCheckCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, DbBackupCommand const& command);
[[nodiscard]] Outcome execute(Context const& context, DbRestoreCommand const& command);
// explain.cpp
[[nodiscard]] Outcome execute(Context const& context, ExplainCommand const& command);
// doctor/doctor.cpp
[[nodiscard]] Outcome execute(Context const& context, DoctorCommand const& command);
/// The doctor's report when the settings themselves cannot be used; gives the exit code.
[[nodiscard]] int report_unusable_settings(Output const& out, Error const& error);

}  // namespace homelab::cli
