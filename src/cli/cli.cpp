#include "cli/cli.h"

#include <fmt/format.h>

#include "base/log.h"
#include "cache_owner.h"
#include "command_line.h"
#include "commands.h"
#include "context.h"
#include "exit_code.h"

namespace homelab::cli {
namespace {

template <class T>
constexpr bool kServes = std::is_same_v<T, ServeCommand> || std::is_same_v<T, MirrorCommand>;

bool listens(Command const& command) {
  return std::visit([](auto const& one) { return kServes<std::decay_t<decltype(one)>>; }, command);
}

/// Commands that show how the settings would work for a server must not bend them.
bool is_client(Command const& command) {
  return !listens(command) && !std::holds_alternative<ExplainCommand>(command) &&
         !std::holds_alternative<DoctorCommand>(command);
}

Result<config::Settings> load_settings(CommandLine const& line) {
  config::SettingsInput input;
  input.flags = line.global.flags;
  if (line.global.env_file) input.dotenv_file = *line.global.env_file;
  // For a client --host is where the server is; it opens nothing to the outside.
  if (is_client(line.command)) input.flags.try_emplace("HOMELAB_LLM_ALLOW_REMOTE", "true");
  return config::Settings::load(std::move(input));
}

/// A command's own answer must not drown in the log of what it uses.
void choose_log_level(config::Settings const& settings, bool serving) {
  auto const level = settings.find("HOMELAB_LLM_LOG_LEVEL");
  bool const asked = level && level->origin.source != config::Source::kDefault;
  setup_logging(serving || asked ? settings.text("HOMELAB_LLM_LOG_LEVEL") : "warn");
}

bool wants_json(std::vector<std::string> const& arguments) {
  return std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
}

int execute_line(CommandLine const& line, Hooks const& hooks, Output const& out) {
  // The version must be told even when the settings are broken.
  config::Settings settings;
  if (!std::holds_alternative<VersionCommand>(line.command)) {
    auto loaded = load_settings(line);
    if (!loaded && std::holds_alternative<DoctorCommand>(line.command))
      return report_unusable_settings(out, loaded.error());
    if (!loaded) return out.error(loaded.error());
    settings = *std::move(loaded);
    choose_log_level(settings, listens(line.command));
  }
  std::optional<CacheOwner> owner;
  if (!std::holds_alternative<VersionCommand>(line.command)) {
    auto became = become_cache_owner(settings);
    if (!became) return out.error(became.error());
    owner = *std::move(became);
    if (owner && listens(line.command)) print_now(describe(*owner) + "\n");
  }
  Context const context{hooks, settings, out, owner};
  auto const outcome =
      std::visit([&](auto const& command) { return execute(context, command); }, line.command);
  return outcome ? *outcome : out.error(outcome.error());
}

}  // namespace

int run(int argc, char** argv, Hooks const& hooks) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  Output const out(wants_json(arguments));
  auto const parsed = parse_command_line(std::move(arguments), hooks.version);
  if (!parsed) return out.error(parsed.error());
  if (auto const* help = std::get_if<HelpText>(&*parsed)) {
    print_now(help->text);
    return kExitDone;
  }
  return execute_line(std::get<CommandLine>(*parsed), hooks, out);
}

}  // namespace homelab::cli
