#include "describe.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/json.h"
#include "base/os/process.h"
#include "base/strings.h"
#include "engine_log.h"
#include "engine_process.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kOutputLimitBytes = 8 << 20;
constexpr milliseconds kTimeout{120'000};
constexpr milliseconds kStep{100};

Result<os::ChildProcess> start_describe(cache::Path const& program, cache::Path const& model_path,
                                        cache::Path const& scratch_file) {
  os::SpawnOptions options;
  options.program = program;
  options.arguments = {"describe", model_path.string()};
  options.extra_environment = {"GGML_NO_BACKTRACE=1"};
  ASSIGN_OR_RETURN(options.output, os::open_file(scratch_file, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600));
  return os::ChildProcess::spawn(std::move(options));
}

Result<os::ExitStatus> wait_for(os::ChildProcess& child, std::function<bool()> const& cancelled) {
  auto const deadline = steady_clock::now() + kTimeout;
  while (true) {
    if (auto const status = child.wait(kStep)) return *status;
    if (cancelled && cancelled()) return fail(Code::kCancelled, "the load was cancelled");
    if (steady_clock::now() >= deadline)
      return fail(Code::kDeadlineExceeded, "the engine program took more than 120 s to look at the model");
  }
}

}  // namespace

Result<ModelFacts> parse_description(std::string_view output) {
  for (auto line : split(output, '\n')) {
    line = trim(line);
    if (!line.starts_with('{')) continue;
    auto const value = parse_json(line);
    if (!value || !value->is_object()) continue;
    auto const& object = value->get_object();
    ModelFacts facts;
    facts.parameter_count = get_int(object, "parameter_count");
    facts.model_type = get_string(object, "model_type");
    facts.architecture = get_string(object, "architecture");
    facts.default_dtype = get_string(object, "default_dtype");
    facts.context_length = get_int(object, "context_length");
    return facts;
  }
  return fail(Code::kDataLoss, "the engine program described the model without a JSON line");
}

Description describe_model(cache::Path const& program, cache::Path const& model_path,
                           cache::Path const& scratch_file, std::function<bool()> const& cancelled) {
  auto child = start_describe(program, model_path, scratch_file);
  if (!child) return {fail(std::move(child).error()), false};
  auto const status = wait_for(*child, cancelled);
  auto output = os::read_file(scratch_file, kOutputLimitBytes);
  if (auto removed = os::remove_file(scratch_file); !removed) return {fail(std::move(removed).error()), false};
  if (!status) return {fail(status.error()), false};
  if (!output) return {fail(std::move(output).error()), false};
  if (status->ok()) return {parse_description(*output), false};
  LineRing lines;
  lines.append(*output);
  if (status->signal != 0)
    return {fail(Code::kDataLoss, "the engine program " + describe_end(*status, lines.lines())), true};
  std::string const reason = reason_in(lines.lines());
  return {fail(Code::kUnimplemented, reason.empty() ? fmt::format("the engine program {}", describe_end(*status, {}))
                                                    : reason),
          false};
}

}  // namespace homelab::engine
