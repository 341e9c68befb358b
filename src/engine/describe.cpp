#include "describe.h"

#include <fcntl.h>

#include <chrono>
#include <utility>
#include <vector>

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

Result<os::ChildProcess> start(cache::Path const& program, std::vector<std::string> arguments,
                               cache::Path const& scratch_file) {
  os::SpawnOptions options;
  options.program = program;
  options.arguments = std::move(arguments);
  options.extra_environment = {"GGML_NO_BACKTRACE=1"};
  ASSIGN_OR_RETURN(options.output,
                   os::open_file(scratch_file, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600));
  return os::ChildProcess::spawn(std::move(options));
}

Result<os::ExitStatus> wait_for(os::ChildProcess& child, std::function<bool()> const& cancelled) {
  auto const deadline = steady_clock::now() + kTimeout;
  while (true) {
    if (auto const status = child.wait(kStep)) return *status;
    if (cancelled && cancelled()) return fail(Code::kCancelled, "the load was cancelled");
    if (steady_clock::now() >= deadline)
      return fail(Code::kDeadlineExceeded,
                  "the engine program took more than 120 s to look at the model");
  }
}

struct Output {
  os::ExitStatus status;
  std::string text;
};

Result<Output> run(cache::Path const& program, std::vector<std::string> arguments,
                   cache::Path const& scratch_file, std::function<bool()> const& cancelled) {
  ASSIGN_OR_RETURN(auto child, start(program, std::move(arguments), scratch_file));
  auto const status = wait_for(child, cancelled);
  auto text = os::read_file(scratch_file, kOutputLimitBytes);
  RETURN_IF_ERROR(os::remove_file(scratch_file));
  if (!status) return fail(status.error());
  if (!text) return fail(std::move(text).error());
  return Output{*status, std::move(*text)};
}

Error failure(Output const& output) {
  LineRing lines;
  lines.append(output.text);
  std::string const reason = reason_in(lines.lines());
  if (output.status.signal == 0 && !reason.empty()) return {Code::kUnimplemented, reason};
  return {output.status.signal != 0 ? Code::kDataLoss : Code::kUnimplemented,
          "the engine program " + describe_end(output.status, lines.lines())};
}

/// The first line that is a JSON object.
Result<json::object> find_json(std::string_view output) {
  for (auto line : split(output, '\n')) {
    line = trim(line);
    if (!line.starts_with('{')) continue;
    auto value = parse_json(line);
    if (value && value->is_object()) return std::move(value->get_object());
  }
  return fail(Code::kDataLoss, "the engine program answered without a JSON line");
}

}  // namespace

Result<ModelFacts> parse_description(std::string_view output) {
  ASSIGN_OR_RETURN(auto const object, find_json(output));
  ModelFacts facts;
  facts.parameter_count = get_int(object, "parameter_count");
  facts.model_type = get_string(object, "model_type");
  facts.architecture = get_string(object, "architecture");
  facts.default_dtype = get_string(object, "default_dtype");
  facts.context_length = get_int(object, "context_length");
  auto const size = [&](std::string_view key) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, get_int(object, key).value_or(0)));
  };
  facts.weight_bytes = size("tensor_bytes");
  facts.kv_bytes_per_token = size("kv_bytes_per_token");
  facts.vocabulary_size = size("vocab_size");
  facts.purpose = get_string(object, "purpose").value_or("");
  facts.engine_version = get_string(object, "llama_cpp").value_or("");
  return facts;
}

Result<std::string> parse_device(std::string_view output) {
  ASSIGN_OR_RETURN(auto const object, find_json(output));
  auto const* devices = get_array(object, "back_ends");
  if (devices == nullptr) return fail(Code::kDataLoss, "the engine program named no back ends");
  for (auto const& device : *devices) {
    if (!device.is_object()) continue;
    std::string name = to_lower(get_string(device.get_object(), "name").value_or("cpu"));
    if (name == "cpu" || name == "blas" || name == "rpc") continue;
    auto const digit = name.find_first_of("0123456789");
    if (digit != std::string::npos && digit > 0) name.insert(digit, ":");
    return name;
  }
  return std::string("cpu");
}

Result<std::string> find_device(cache::Path const& program, cache::Path const& scratch_file,
                                std::function<bool()> const& cancelled) {
  ASSIGN_OR_RETURN(auto const output, run(program, {"version"}, scratch_file, cancelled));
  if (!output.status.ok()) return fail(failure(output));
  return parse_device(output.text);
}

Description describe_model(cache::Path const& program, cache::Path const& model_path,
                           cache::Path const& scratch_file, std::function<bool()> const& cancelled,
                           bool sandbox) {
  std::vector<std::string> arguments = {"describe", model_path.string()};
  if (!sandbox) arguments.insert(arguments.end(), {"--sandbox", "off"});
  auto const output = run(program, std::move(arguments), scratch_file, cancelled);
  if (!output) return {fail(output.error()), false};
  if (output->status.ok()) return {parse_description(output->text), false};
  return {fail(failure(*output)), output->status.signal != 0};
}

}  // namespace homelab::engine
