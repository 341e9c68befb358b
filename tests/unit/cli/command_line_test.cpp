#include "command_line.h"

#include <gtest/gtest.h>

namespace homelab::cli {
namespace {

CommandLine parsed(std::vector<std::string> arguments) {
  auto result = parse_command_line(std::move(arguments), "1.2.3");
  if (!result) throw std::runtime_error(result.error().message);
  return std::get<CommandLine>(*result);
}
template <class T>
T command(std::vector<std::string> arguments) {
  return std::get<T>(parsed(std::move(arguments)).command);
}
Error refusal(std::vector<std::string> arguments) {
  auto result = parse_command_line(std::move(arguments), "1.2.3");
  return result ? Error{Code::kInternal, "was accepted"} : result.error();
}
std::string help(std::vector<std::string> arguments) {
  auto result = parse_command_line(std::move(arguments), "1.2.3");
  if (!result) throw std::runtime_error(result.error().message);
  return std::get<HelpText>(*result).text;
}

TEST(CommandLine, TakesGlobalOptionsBeforeAndAfterTheCommand) {
  for (auto const& arguments : std::vector<std::vector<std::string>>{
           {"serve", "--host", "::1", "--port", "9000", "--env-file", "x.env", "--json"},
           {"--json", "--host", "::1", "--port=9000", "--env-file", "x.env", "serve"}}) {
    auto const line = parsed(arguments);
    EXPECT_TRUE(std::holds_alternative<ServeCommand>(line.command));
    EXPECT_TRUE(line.global.json);
    EXPECT_EQ(line.global.env_file, "x.env");
    EXPECT_EQ(line.global.flags, (std::map<std::string, std::string>{
                                     {"HOMELAB_LLM_HOST", "::1"}, {"HOMELAB_LLM_PORT", "9000"}}));
  }
}

TEST(CommandLine, SetsOnlyFlagsThatWereGiven) {
  auto const line = parsed({"ls"});
  EXPECT_TRUE(line.global.flags.empty());
  EXPECT_FALSE(line.global.env_file);
  EXPECT_FALSE(line.global.json);
}

TEST(CommandLine, LetsASwitchStandAloneOrCarryAValue) {
  EXPECT_EQ(parsed({"serve", "--allow-remote"}).global.flags.at("HOMELAB_LLM_ALLOW_REMOTE"),
            "true");
  EXPECT_EQ(parsed({"serve", "--allow-remote=false"}).global.flags.at("HOMELAB_LLM_ALLOW_REMOTE"),
            "false");
  EXPECT_EQ(command<LoadCommand>({"load", "--allow-remote", "smol"}).model, "smol")
      << "a switch must not swallow the next word";
}

TEST(CommandLine, NamesAModelAfterItsRepositoryWhenNoNameIsGiven) {
  auto const both = command<RegisterCommand>({"register", "smol", "org/name"});
  EXPECT_EQ(both.name, "smol");
  EXPECT_EQ(both.repo, "org/name");
  auto const alone = command<RegisterCommand>({"register", "org/name-GGUF:Q4_1"});
  EXPECT_EQ(alone.name, "name-GGUF");
  EXPECT_EQ(alone.repo, "org/name-GGUF:Q4_1");
  EXPECT_EQ(refusal({"register", "smol"}).code, Code::kInvalidArgument);
}

TEST(CommandLine, TakesAPathAsACustomLocation) {
  auto const custom = command<RegisterCommand>({"register", "a", "o/n", "--path", "/srv/x"});
  EXPECT_EQ(custom.location, "custom");
  EXPECT_EQ(custom.path, "/srv/x");
  EXPECT_EQ(command<PullCommand>({"pull", "o/n", "--path", "/srv/x"}).location, "custom");
  EXPECT_EQ(command<PullCommand>({"pull", "o/n", "--location", "primary", "--path", "/x"}).location,
            "primary")
      << "the contradiction is reported later, not hidden";
  EXPECT_EQ(refusal({"pull", "o/n", "--location", "moon"}).code, Code::kInvalidArgument);
}

TEST(CommandLine, SendsASizeOnlyWhenGiven) {
  EXPECT_FALSE(command<RegisterCommand>({"register", "a", "o/n"}).size_mb);
  EXPECT_EQ(command<RegisterCommand>({"register", "a", "o/n", "--size-mb", "0"}).size_mb, 0.0);
}

TEST(CommandLine, JoinsTheWordsOfAPrompt) {
  auto const run = command<RunCommand>({"run", "m", "Why", "is", "it?", "--max-tokens", "7"});
  EXPECT_EQ(run.model, "m");
  EXPECT_EQ(run.prompt, "Why is it?");
  EXPECT_EQ(run.sampling.max_tokens, 7);
  EXPECT_FALSE(run.sampling.temperature);
  EXPECT_EQ(command<RunCommand>({"run", "m"}).prompt, "");
  EXPECT_EQ(command<RunCommand>({"run", "m", "-"}).prompt, "-");
  EXPECT_EQ(command<RunCommand>({"run", "m", "--", "--help"}).prompt, "--help");
}

TEST(CommandLine, TakesSamplingOfEitherGenerationCommand) {
  auto const generate = command<GenerateCommand>(
      {"generate", "x", "--temperature", "0.5", "--top-p", "0.25", "--greedy", "--no-stream"});
  EXPECT_EQ(generate.sampling.temperature, 0.5);
  EXPECT_EQ(generate.sampling.top_p, 0.25);
  EXPECT_TRUE(generate.sampling.greedy);
  EXPECT_FALSE(generate.stream);
  EXPECT_TRUE(command<GenerateCommand>({"generate", "x"}).stream);
  EXPECT_TRUE(command<RunCommand>({"run", "m", "x", "--greedy"}).sampling.greedy);
}

TEST(CommandLine, TakesTheEnginesOwnParametersOfAnAnswer) {
  auto const run = command<RunCommand>({"run", "m", "--top-k", "7", "--min-p", "0.1", "--seed",
                                        "42", "--stop", "END", "--repeat-penalty", "1.25", "--stop",
                                        "two words", "Hello", "there"});
  EXPECT_EQ(run.prompt, "Hello there") << "a stop text takes one word of the line, no more";
  EXPECT_EQ(run.sampling.top_k, 7);
  EXPECT_EQ(run.sampling.min_p, 0.1);
  EXPECT_EQ(run.sampling.seed, 42);
  EXPECT_EQ(run.sampling.repeat_penalty, 1.25);
  EXPECT_EQ(run.sampling.stop, (std::vector<std::string>{"END", "two words"}));
  EXPECT_EQ(refusal({"run", "m", "x", "--top-k", "-1"}).code, Code::kInvalidArgument);
  EXPECT_FALSE(command<RunCommand>({"run", "m", "x"}).sampling.seed);
}

TEST(CommandLine, RefusesNumbersOutsideTheirRange) {
  for (auto const& arguments :
       std::vector<std::vector<std::string>>{{"generate", "x", "--temperature", "3"},
                                             {"generate", "x", "--top-p", "-1"},
                                             {"generate", "x", "--max-tokens", "0"},
                                             {"generate", "x", "--max-tokens", "many"}})
    EXPECT_EQ(refusal(arguments).code, Code::kInvalidArgument) << arguments.back();
}

TEST(CommandLine, SaysWhereTheHelpIsWhenItRefuses) {
  auto const missing = refusal({"load"});
  EXPECT_EQ(missing.code, Code::kInvalidArgument);
  EXPECT_NE(missing.message.find("MODEL"), std::string::npos);
  EXPECT_NE(missing.message.find("homelab-llm load --help"), std::string::npos);
  EXPECT_EQ(refusal({}).code, Code::kInvalidArgument);
  EXPECT_EQ(refusal({"fly"}).code, Code::kInvalidArgument);
  EXPECT_EQ(refusal({"ps", "surplus"}).code, Code::kInvalidArgument);
  EXPECT_EQ(refusal({"ps", "--colour"}).code, Code::kInvalidArgument);
}

TEST(CommandLine, HasTwoExamplesInTheHelpOfEveryCommand) {
  for (auto const* name : {"serve", "mirror", "register", "pull", "load", "unload", "run",
                           "generate", "ls", "ps", "show", "rm", "explain", "version"}) {
    std::string const text = help({name, "--help"});
    std::size_t examples = 0;
    auto const mark = std::string("\n  homelab-llm ") + name;
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1))
      ++examples;
    EXPECT_GE(examples, 2U) << text;
    EXPECT_NE(help({"--help"}).find(std::string("\n  ") + name), std::string::npos) << name;
  }
}

TEST(CommandLine, TellsItsVersion) {
  EXPECT_EQ(help({"--version"}), "1.2.3\n");
  EXPECT_TRUE(std::holds_alternative<VersionCommand>(parsed({"version"}).command));
}

TEST(CommandLine, ReadsTheRemainingCommands) {
  std::ignore = command<LsCommand>({"list"});
  EXPECT_TRUE(
      std::holds_alternative<CacheLsCommand>(command<CacheCommand>({"cache", "ls"}).chosen));
  auto const one = command<CacheCommand>({"cache", "ls", "org/name"}).chosen;
  EXPECT_EQ(std::get<CacheLsCommand>(one).repo, "org/name");
  EXPECT_TRUE(
      std::holds_alternative<CacheDuCommand>(command<CacheCommand>({"cache", "du"}).chosen));
  auto const dedup = command<CacheCommand>({"cache", "dedup", "--dry-run"}).chosen;
  EXPECT_TRUE(std::get<CacheDedupCommand>(dedup).dry_run);
  auto const removal = std::get<CacheRmCommand>(
      command<CacheCommand>({"cache", "rm", "o/n@v1:f", "dataset/o/d", "--now", "-y"}).chosen);
  EXPECT_EQ(removal.targets, (std::vector<std::string>{"o/n@v1:f", "dataset/o/d"}));
  EXPECT_TRUE(removal.flags.now && removal.flags.yes && !removal.flags.force &&
              !removal.flags.dry_run);
  auto const prune = std::get<CachePruneCommand>(
      command<CacheCommand>({"cache", "prune", "--keep", "2", "--location", "secondary"}).chosen);
  EXPECT_EQ(prune.keep, 2U);
  EXPECT_EQ(prune.flags.location, "secondary");
  auto const move = std::get<CacheMvCommand>(
      command<CacheCommand>({"cache", "mv", "o/n", "--path", "/x", "--dry-run"}).chosen);
  EXPECT_EQ(move.path, "/x");
  EXPECT_TRUE(move.dry_run);
  EXPECT_EQ(command<ShowCommand>({"show", "Tiny qwen (King Nish)"}).name, "Tiny qwen (King Nish)");
  auto const rm = command<RmCommand>({"rm", "a", "--files", "-y"});
  EXPECT_TRUE(rm.files);
  EXPECT_TRUE(rm.yes);
  EXPECT_EQ(command<ExplainCommand>({"explain"}).model, "");
  EXPECT_EQ(command<ExplainCommand>({"explain", "o/n"}).model, "o/n");
  EXPECT_EQ(command<MirrorCommand>({"mirror", "/srv/hf"}).root, "/srv/hf");
  EXPECT_TRUE(command<LoadCommand>({"load", "a", "--force"}).force);
}

TEST(DefaultModelName, IsTheLastPartWithoutRevisionAndVariant) {
  EXPECT_EQ(default_model_name("org/name"), "name");
  EXPECT_EQ(default_model_name("org/name@v1"), "name");
  EXPECT_EQ(default_model_name("org/name@refs/pr/1"), "name");
  EXPECT_EQ(default_model_name("org/name:Q4_1"), "name");
  EXPECT_EQ(default_model_name("hf.co/org/name"), "name");
  EXPECT_EQ(default_model_name("gpt2"), "gpt2");
  EXPECT_EQ(default_model_name("/srv/models/phi/"), "phi");
  EXPECT_EQ(default_model_name("./smol@1.gguf"), "smol@1");
}

}  // namespace
}  // namespace homelab::cli
