// run, generate: text from a model.
#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <vector>

#include "answer_stream.h"
#include "base/strings.h"
#include "chat_history.h"
#include "commands.h"
#include "exit_code.h"
#include "http/sse_parser.h"
#include "sampling.h"
#include "server_link.h"
#include "stop_signal.h"
#include "table.h"

namespace homelab::cli {
namespace {

constexpr std::size_t kPromptLimitBytes = 1U << 20;

Result<std::string> read_standard_input() {
  std::string text;
  std::string line;
  while (std::getline(std::cin, line)) {
    text += line + '\n';
    if (text.size() > kPromptLimitBytes)
      return fail(Code::kInvalidArgument, "the prompt on standard input is longer than 1 MiB");
  }
  if (!text.empty()) text.pop_back();
  if (trim(text).empty())
    return fail(Code::kInvalidArgument, "there is no prompt on standard input");
  return text;
}

struct Answer {
  std::string text;
  json::object stats;
};

using ReadEvent = Result<AnswerPiece> (*)(std::string_view);

/// Follows one event stream to its end. `show` gets each piece of text at once.
class AnswerReader {
 public:
  AnswerReader(ReadEvent read_event, std::function<void(std::string_view)> show)
      : read_event_(read_event), show_(std::move(show)) {}

  Result<Answer> follow(ApiClient const& api, std::string_view target, json::value const& body) {
    RETURN_IF_ERROR(api.stream(
        target, body, [this](std::string_view bytes) { return take(bytes); }, StopSignal::raised));
    if (failure_) return fail(*std::move(failure_));
    if (!finished_) return fail(Code::kUnavailable, "the answer broke off");
    return answer_;
  }

  [[nodiscard]] std::string const& text() const { return answer_.text; }

 private:
  bool take(std::string_view bytes);
  void use(AnswerPiece piece);

  ReadEvent read_event_;
  std::function<void(std::string_view)> show_;
  http::SseParser parser_;
  Answer answer_;
  std::optional<Error> failure_;
  bool finished_ = false;
};

bool AnswerReader::take(std::string_view bytes) {
  std::vector<http::SseEvent> events;
  if (auto const fed = parser_.feed(bytes, events); !fed) {
    failure_ = fed.error();
    return false;
  }
  for (auto const& event : events) {
    auto piece = read_event_(event.data);
    if (!piece) {
      failure_ = piece.error();
      return false;
    }
    use(*std::move(piece));
  }
  return true;
}

void AnswerReader::use(AnswerPiece piece) {
  finished_ = finished_ || piece.last;
  if (!piece.stats.empty()) answer_.stats = std::move(piece.stats);
  if (piece.text.empty()) return;
  answer_.text += piece.text;
  show_(piece.text);
}

/// Prints pieces as they come; on a terminal without what could steer it.
void show_piece(std::string_view text) {
  static bool const terminal = stdout_is_terminal();
  print_now(terminal ? printable(text, true) : text);
}

void end_line(Context const& context, std::string const& text) {
  if (!text.empty() && text.back() != '\n') context.out.text("\n");
}

void show_stats(Context const& context, json::object const& stats) {
  std::string const line = stats_line(stats);
  if (stderr_is_terminal() && !line.empty()) context.out.remark("[" + line + "]");
}

AnswerReader reader_for(Context const& context, ReadEvent read_event) {
  if (context.out.json()) return {read_event, [](std::string_view) {}};
  return {read_event, show_piece};
}

Status ask_once(Context const& context, ApiClient const& api, std::string const& model,
                RunCommand const& command, std::string prompt) {
  ChatHistory history(command.system);
  history.user_says(std::move(prompt));
  auto reader = reader_for(context, read_chat_event);
  auto answer =
      reader.follow(api, "/v1/chat/completions", history.request(model, command.sampling));
  end_line(context, reader.text());
  if (!answer) return fail(std::move(answer).error());
  show_stats(context, answer->stats);
  context.out.value(
      json::object{{"model", model}, {"text", answer->text}, {"stats", answer->stats}});
  return {};
}

constexpr char const* kChatHelp =
    "Type a message and press Enter. /clear forgets the conversation, /bye or Ctrl-D ends it,\n"
    "Ctrl-C stops an answer.";

/// One message of the user and the model's answer. An error is shown and the chat goes on, unless
/// the server is gone.
Status exchange(Context const& context, ApiClient const& api, std::string const& model,
                RunCommand const& command, ChatHistory& history, std::string const& message) {
  history.user_says(message);
  auto reader = reader_for(context, read_chat_event);
  auto answer =
      reader.follow(api, "/v1/chat/completions", history.request(model, command.sampling));
  end_line(context, reader.text());
  if (answer) {
    history.model_says(answer->text);
    show_stats(context, answer->stats);
    return {};
  }
  history.forget_last();
  if (answer.error().code != Code::kCancelled && !api.healthy()) return fail(answer.error());
  context.out.remark(answer.error().code == Code::kCancelled ? "[stopped]"
                                                             : "error: " + answer.error().message);
  StopSignal::clear();
  return {};
}

Status chat(Context const& context, ApiClient const& api, std::string const& model,
            RunCommand const& command) {
  ChatHistory history(command.system);
  context.out.remark(kChatHelp);
  while (true) {
    print_now(">>> ");
    std::string line;
    if (!std::getline(std::cin, line) || StopSignal::raised()) break;
    std::string const message(trim(line));
    if (message == "/bye" || message == "/exit") return {};
    if (message.empty()) continue;
    if (message == "/clear") {
      history.clear();
    } else if (message == "/help" || message == "/?") {
      context.out.remark(kChatHelp);
    } else {
      RETURN_IF_ERROR(exchange(context, api, model, command, history, message));
    }
  }
  print_now("\n");
  return {};
}

json::object generate_body(GenerateCommand const& command, std::string const& prompt) {
  json::object body{{"prompt", prompt}};
  add_sampling(body, command.sampling);
  if (command.sampling.greedy) body["do_sample"] = false;
  return body;
}

Outcome generate_whole(Context const& context, ApiClient const& api, json::object const& body) {
  ASSIGN_OR_RETURN(auto const answer, api.post("/api/generate", body, StopSignal::raised));
  auto const* object = answer.if_object();
  if (object == nullptr) return fail(Code::kDataLoss, "the server's answer is no JSON object");
  context.out.value(answer);
  // The server gives prompt and continuation; people see what the stream would have shown.
  std::string text = get_string(*object, "generated_text").value_or("");
  std::string const prompt = get_string(body, "prompt").value_or("");
  if (text.starts_with(prompt)) text.erase(0, prompt.size());
  context.out.text(stdout_is_terminal() ? printable(text, true) : text);
  end_line(context, text);
  if (!context.out.json()) show_stats(context, *object);
  return kExitDone;
}

}  // namespace

Outcome execute(Context const& context, RunCommand const& command) {
  bool const from_input = command.prompt == "-" || (command.prompt.empty() && !stdin_is_terminal());
  bool const chatting = command.prompt.empty() && !from_input;
  if (chatting && context.out.json())
    return fail(Code::kInvalidArgument,
                "--json needs a prompt: homelab-llm run MODEL PROMPT --json");
  std::string prompt = command.prompt;
  if (from_input) {
    ASSIGN_OR_RETURN(prompt, read_standard_input());
  }
  StopSignal const stop;
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  if (link.is_private())
    context.out.remark("no server is running; using a private one until this command ends");
  ASSIGN_OR_RETURN(auto const row, find_or_register(link.api(), context.out, command.model));
  ASSIGN_OR_RETURN(auto const loaded, loaded_models(link.api()));
  // Who only talks to a model takes nobody else's away.
  if (!loaded.contains(row.name))
    RETURN_IF_ERROR(load_with_progress(link, row.name, false, /*beside=*/true));
  if (chatting)
    RETURN_IF_ERROR(chat(context, link.api(), row.name, command));
  else
    RETURN_IF_ERROR(ask_once(context, link.api(), row.name, command, std::move(prompt)));
  return kExitDone;
}

Outcome execute(Context const& context, GenerateCommand const& command) {
  std::string prompt = command.prompt;
  if (prompt == "-") {
    ASSIGN_OR_RETURN(prompt, read_standard_input());
  }
  StopSignal const stop;
  ASSIGN_OR_RETURN(auto link, ServerLink::connect(context));
  json::object const body = generate_body(command, prompt);
  if (!command.stream || context.out.json()) return generate_whole(context, link.api(), body);
  auto reader = reader_for(context, read_generate_event);
  auto answer = reader.follow(link.api(), "/api/generate/stream", body);
  end_line(context, reader.text());
  if (!answer) return fail(std::move(answer).error());
  show_stats(context, answer->stats);
  return kExitDone;
}

}  // namespace homelab::cli
