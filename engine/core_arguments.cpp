#include "core_arguments.h"

#include <arg.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "back_ends.h"
#include "base/os/file.h"
#include "base/strings.h"

extern char** environ;

namespace homelab::engine_process {
namespace {

constexpr std::array<std::string_view, 3> kForeignPrefixes = {"LLAMA_", "AIP_", "HF_"};

/// Collects what is written to standard error while it lives: the parser explains itself only
/// there.
class CapturedErrors {
 public:
  CapturedErrors() : file_(::memfd_create("stderr", MFD_CLOEXEC)), saved_(::dup(STDERR_FILENO)) {
    if (file_.valid() && saved_.valid()) ::dup2(file_.get(), STDERR_FILENO);
  }
  CapturedErrors(CapturedErrors const&) = delete;
  CapturedErrors& operator=(CapturedErrors const&) = delete;
  ~CapturedErrors() { restore(); }

  /// Gives standard error back and returns the text.
  std::string restore() {
    if (!saved_.valid()) return {};
    std::fflush(stderr);
    ::dup2(saved_.get(), STDERR_FILENO);
    saved_.reset();
    std::string text(16384, '\0');
    ssize_t const got = file_.valid() ? ::pread(file_.get(), text.data(), text.size(), 0) : 0;
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return text;
  }

 private:
  os::UniqueFd file_;
  os::UniqueFd saved_;
};

/// The first line of the parser's message, without its own "error: ".
std::string first_reason(std::string_view text) {
  for (auto line : split(text, '\n')) {
    line = trim(line);
    if (line.empty() || line.starts_with("warn: ")) continue;
    if (line.starts_with("error: ")) line.remove_prefix(7);
    return std::string(line);
  }
  return "the arguments were refused without a reason";
}

Status refuse_downloads(common_params const& params) {
  struct Source {
    std::string_view what;
    common_params_model const& model;
  };
  std::array<Source, 3> const sources = {Source{"model", params.model},
                                         Source{"projector", params.mmproj},
                                         Source{"draft model", params.speculative.draft.mparams}};
  for (auto const& [what, model] : sources) {
    if (model.url.empty() && model.hf_repo.empty() && model.docker_repo.empty() &&
        model.hf_file.empty())
      continue;
    return fail(Code::kInvalidArgument,
                fmt::format("an engine never downloads: give the {} as a local path", what));
  }
  if (!params.models_dir.empty() || !params.models_preset.empty()) {
    return fail(Code::kInvalidArgument,
                "an engine serves one model: --models-dir and --models-preset are refused");
  }
  return {};
}

}  // namespace

int default_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  if (::sched_getaffinity(0, sizeof set, &set) == 0) cores = CPU_COUNT(&set);
  return std::max(1, cores - 1);
}

void settle_environment() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view const name =
        std::string_view(*entry).substr(0, std::string_view(*entry).find('='));
    bool const foreign = std::any_of(kForeignPrefixes.begin(), kForeignPrefixes.end(),
                                     [&](auto prefix) { return name.starts_with(prefix); });
    if (foreign) names.emplace_back(name);
  }
  // NOLINTBEGIN(concurrency-mt-unsafe): called before the first thread starts.
  for (auto const& name : names) ::unsetenv(name.c_str());
  // llama.cpp reads a configuration file of its own from here; an engine is configured by its
  // arguments alone.
  ::setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
  ::setenv("GGML_NO_BACKTRACE", "1", 1);
  // NOLINTEND(concurrency-mt-unsafe)
}

Result<common_params> parse_core_arguments(std::vector<std::string> const& arguments) {
  std::vector<std::string> words = {"homelab-llm-engine"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  common_params params;
  params.cpuparams.n_threads = default_threads();
  CapturedErrors captured;
  bool accepted = false;
  std::string thrown;
  try {
    accepted = common_params_parse(static_cast<int>(words.size()), argv.data(), params,
                                   LLAMA_EXAMPLE_SERVER, nullptr);
  } catch (std::exception const& error) {
    thrown = error.what();
  }
  std::string const said = captured.restore();
  if (!accepted) return fail(Code::kInvalidArgument, first_reason(thrown.empty() ? said : thrown));
  RETURN_IF_ERROR(refuse_downloads(params));
  if (params.model.path.empty()) {
    return fail(Code::kInvalidArgument,
                "no model given: -m PATH (a .gguf file or a folder with config.json and "
                "safetensors) is required");
  }
  // Fitting a model to the devices reads its vocabulary once more. Without a GPU there is nothing
  // to fit but the context, and only if nobody said how long it is.
  if (params.n_ctx > 0 && !has_gpu()) params.fit_params = false;
  params.offline = true;
  params.ui = false;
  return params;
}

}  // namespace homelab::engine_process
