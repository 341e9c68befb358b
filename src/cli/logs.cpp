// logs: what a model's engine wrote.
#include <fmt/format.h>

#include "base/strings.h"
#include "commands.h"
#include "exit_code.h"
#include "server_link.h"
#include "stop_signal.h"

namespace homelab::cli {
namespace {

json::array lines_of(std::string_view text) {
  json::array lines;
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.empty()) return lines;
  for (auto const line : split(text, '\n')) lines.emplace_back(line);
  return lines;
}

}  // namespace

Outcome execute(Context const& context, LogsCommand const& command) {
  if (command.follow && context.out.json())
    return fail(Code::kInvalidArgument, "--json gives one value, so it does not go with --follow");
  StopSignal const stop;
  ASSIGN_OR_RETURN(auto link, ServerLink::connect(context));
  std::string all;
  auto const read = link.api().read(
      fmt::format("/api/engines/{}/log?lines={}&follow={}", percent_encode(command.model),
                  command.lines, command.follow ? 1 : 0),
      [&](std::string_view bytes) {
        if (context.out.json()) all += bytes;
        context.out.text(bytes);
        return true;
      },
      StopSignal::raised);
  // Ctrl-C is how following ends.
  bool const left = !read && read.error().code == Code::kCancelled && command.follow;
  if (!read && !left) return fail(read.error());
  context.out.value(json::object{{"model", command.model}, {"lines", lines_of(all)}});
  return kExitDone;
}

}  // namespace homelab::cli
