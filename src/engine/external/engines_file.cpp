// The engines file: what its keys mean, and what is refused.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/os/file.h"
#include "base/strings.h"
#include "base_url.h"
#include "engine/external_engine.h"
#include "placeholders.h"

namespace homelab::engine {
namespace {

constexpr std::size_t kFileLimitBytes = 1 << 20;
constexpr std::size_t kMaxArguments = 1000;
constexpr std::size_t kMaxNameBytes = 64;
constexpr std::int64_t kMaxThreads = 4096;
constexpr std::int64_t kLongestSilence = 86'400;

tl::unexpected<Error> wrong(std::string_view key, std::string_view expected) {
  return fail(Code::kInvalidArgument, fmt::format("'{}' must be {}", key, expected));
}

Result<std::string> text(std::string_view key, json::value const& value) {
  if (!value.is_string() || trim(value.get_string()).empty()) return wrong(key, "a text");
  std::string out(value.get_string());
  if (out.find('\0') != std::string::npos) return wrong(key, "a text without zero bytes");
  return out;
}

Result<std::int64_t> number(std::string_view key, json::value const& value, std::int64_t low,
                            std::int64_t high) {
  auto const* whole = value.if_int64();
  if (whole == nullptr || *whole < low || *whole > high)
    return wrong(key, fmt::format("a whole number from {} to {}", low, high));
  return *whole;
}

Status read_command(std::string_view key, json::value const& value, ExternalEngine& out) {
  auto const* words = value.if_array();
  if (words == nullptr || words->empty() || words->size() > kMaxArguments)
    return wrong(key, R"(a list of arguments, for example ["vllm", "serve", "{model}"])");
  for (auto const& word : *words) {
    if (!word.is_string() || word.get_string().find('\0') != json::string::npos)
      return wrong(key, "a list of texts");
    out.command.emplace_back(word.get_string());
    RETURN_IF_ERROR(check_placeholders(out.command.back()));
  }
  std::string const& program = out.command.front();
  if (program.empty() || !placeholders_in(program).empty() ||
      (program.find('/') != std::string::npos && !program.starts_with('/')))
    return wrong(key,
                 "a list that begins with a program: a name to be found in PATH or a whole "
                 "path, without placeholders");
  return {};
}

Status read_environment(std::string_view key, json::value const& value, ExternalEngine& out) {
  auto const* object = value.if_object();
  if (object == nullptr) return wrong(key, "an object of variables and texts");
  for (auto const& [key_of_pair, content] : *object) {
    std::string_view const name = key_of_pair;
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string_view::npos)
      return wrong(key, "an object of variables and texts");
    if (!content.is_string() || content.get_string().find('\0') != json::string::npos)
      return wrong(key, "an object of variables and texts");
    RETURN_IF_ERROR(check_placeholders(content.get_string()));
    out.environment.emplace_back(name, content.get_string());
  }
  return {};
}

Status read_url(std::string_view key, json::value const& value, ExternalEngine& out) {
  ASSIGN_OR_RETURN(auto const url, text(key, value));
  ASSIGN_OR_RETURN(out.url, parse_base_url(url));
  return {};
}

Status read_key_variable(std::string_view key, json::value const& value, ExternalEngine& out) {
  ASSIGN_OR_RETURN(out.api_key_variable, text(key, value));
  bool const plain = std::ranges::all_of(out.api_key_variable, [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  });
  return plain ? Status{} : wrong(key, "the name of an environment variable, not the key itself");
}

Status read_model(std::string_view key, json::value const& value, ExternalEngine& out) {
  ASSIGN_OR_RETURN(out.model, text(key, value));
  return check_placeholders(out.model);
}

Status read_health(std::string_view key, json::value const& value, ExternalEngine& out) {
  ASSIGN_OR_RETURN(out.health, text(key, value));
  bool const path = out.health.starts_with('/') &&
                    std::ranges::all_of(out.health, [](char c) { return c > ' ' && c < '\x7f'; });
  return path ? Status{} : wrong(key, "a path that begins with '/'");
}

Status read_port(std::string_view key, json::value const& value, ExternalEngine& out) {
  ASSIGN_OR_RETURN(auto const port, number(key, value, 1, 65535));
  out.port = static_cast<int>(port);
  return {};
}

Status read_download(std::string_view key, json::value const& value, ExternalEngine& out) {
  if (!value.is_bool()) return wrong(key, "true or false");
  out.download = value.get_bool();
  return {};
}

Status read_memory(std::string_view key, json::value const& value, ExternalEngine& out) {
  ASSIGN_OR_RETURN(auto const bytes, number(key, value, 0, std::int64_t{1} << 50));
  out.memory_bytes = static_cast<std::uint64_t>(bytes);
  return {};
}

Status read_threads(std::string_view key, json::value const& value, ExternalEngine& out) {
  ASSIGN_OR_RETURN(auto const threads, number(key, value, 0, kMaxThreads));
  out.threads = static_cast<unsigned>(threads);
  return {};
}

Status read_silence(std::string_view key, json::value const& value, ExternalEngine& out) {
  ASSIGN_OR_RETURN(auto const seconds, number(key, value, 1, kLongestSilence));
  out.silence = std::chrono::seconds(seconds);
  return {};
}

enum class For { kBoth, kCommand, kUrl };
struct Key {
  std::string_view name;
  For whom;
  Status (*read)(std::string_view key, json::value const& value, ExternalEngine& out);
};
constexpr std::array kKeys = {Key{"command", For::kCommand, read_command},
                              Key{"env", For::kCommand, read_environment},
                              Key{"port", For::kCommand, read_port},
                              Key{"download", For::kCommand, read_download},
                              Key{"memory_bytes", For::kCommand, read_memory},
                              Key{"silence_s", For::kCommand, read_silence},
                              Key{"threads", For::kBoth, read_threads},
                              Key{"url", For::kUrl, read_url},
                              Key{"api_key_env", For::kBoth, read_key_variable},
                              Key{"model", For::kBoth, read_model},
                              Key{"health", For::kBoth, read_health}};

Status read_key(std::string_view name, json::value const& value, bool command,
                ExternalEngine& out) {
  std::string known;
  for (auto const& key : kKeys) {
    if (key.name == name) {
      if (key.whom == (command ? For::kUrl : For::kCommand))
        return fail(Code::kInvalidArgument, fmt::format("'{}' belongs to an engine with a {}", name,
                                                        command ? "\"url\"" : "\"command\""));
      return key.read(name, value, out);
    }
    known += fmt::format("{}{}", known.empty() ? "" : ", ", key.name);
  }
  return fail(Code::kInvalidArgument,
              fmt::format("'{}' is no key of an engine; there are {}", name, known));
}

bool mentions_port(ExternalEngine const& engine) {
  auto const in = [](std::string const& text) {
    return std::ranges::count(placeholders_in(text), "port") > 0;
  };
  return std::ranges::any_of(engine.command, in) ||
         std::ranges::any_of(engine.environment, [&](auto const& pair) { return in(pair.second); });
}

Result<ExternalEngine> parse_engine(std::string_view name, json::value const& value) {
  auto const* object = value.if_object();
  bool const command = object != nullptr && object->contains("command");
  if (object == nullptr || command == object->contains("url"))
    return fail(Code::kInvalidArgument,
                "an engine is an object with either \"command\" or \"url\"");
  ExternalEngine out;
  out.name = name;
  for (auto const& [key, content] : *object) RETURN_IF_ERROR(read_key(key, content, command, out));
  if (command && out.port == 0 && !mentions_port(out))
    return fail(Code::kInvalidArgument,
                "the command does not say {port}, so the port on which it listens is not known; "
                "put it in, or name the fixed one with \"port\"");
  if (!command && !placeholders_in(out.model).empty())
    return fail(Code::kInvalidArgument, "'model' of a server has no placeholders");
  return out;
}

Status check_name(std::string_view name) {
  bool const good =
      !name.empty() && name.size() <= kMaxNameBytes && std::ranges::all_of(name, [](char c) {
        return c == '.' || c == '-' || c == '_' || (c >= '0' && c <= '9') ||
               (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      });
  if (good) return {};
  return fail(
      Code::kInvalidArgument,
      fmt::format("'{}' cannot be the name of an engine: letters, digits, '.', '-' and '_', "
                  "at most {}",
                  name.substr(0, kMaxNameBytes), kMaxNameBytes));
}

}  // namespace

Result<ExternalEngines> parse_external_engines(std::string_view text) {
  ASSIGN_OR_RETURN(auto const value, parse_json(text));
  auto const* object = value.if_object();
  if (object == nullptr)
    return fail(Code::kInvalidArgument, "expected a JSON object: the name of each engine, and it");
  ExternalEngines out;
  for (auto const& [key, content] : *object) {
    std::string_view const name = key;
    RETURN_IF_ERROR(check_name(name));
    auto engine = parse_engine(name, content);
    if (!engine) return fail(std::move(engine).error().in(fmt::format("engine '{}'", name)));
    out.emplace(name, *std::move(engine));
  }
  return out;
}

Result<ExternalEngines> read_external_engines(std::filesystem::path const& file) {
  auto const doing = fmt::format("engines file {}", file.string());
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0)
    return fail_errno("read engines file", file.string(), errno);
  if ((info.st_mode & S_IWOTH) != 0)
    return fail(Code::kPermissionDenied,
                fmt::format("{}: everybody may write it, and what it says is run as you; take that "
                            "away with: chmod o-w {}",
                            doing, file.string()));
  auto const text = os::read_file(file, kFileLimitBytes);
  if (!text) return fail(Error(text.error()).in(doing));
  auto engines = parse_external_engines(*text);
  if (!engines) return fail(std::move(engines).error().in(doing));
  return engines;
}

}  // namespace homelab::engine
