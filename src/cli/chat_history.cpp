#include "chat_history.h"

#include "sampling.h"

namespace homelab::cli {
namespace {

std::size_t length_of(json::value const& message) {
  return message.at("content").as_string().size();
}

}  // namespace

ChatHistory::ChatHistory(std::string const& system, std::size_t limit_bytes)
    : has_system_(!system.empty()), limit_bytes_(limit_bytes) {
  if (has_system_) messages_.push_back(json::object{{"role", "system"}, {"content", system}});
}

void ChatHistory::add(std::string_view role, std::string text) {
  bytes_ += text.size();
  messages_.push_back(json::object{{"role", role}, {"content", std::move(text)}});
  // Whole exchanges go, so that the conversation always begins with the user.
  while (bytes_ > limit_bytes_ && messages_.size() > first_exchange() + 2) {
    auto const oldest = messages_.begin() + static_cast<std::ptrdiff_t>(first_exchange());
    bytes_ -= length_of(oldest[0]) + length_of(oldest[1]);
    messages_.erase(oldest, oldest + 2);
  }
}

void ChatHistory::forget_last() {
  if (messages_.size() <= first_exchange()) return;
  bytes_ -= length_of(messages_.back());
  messages_.pop_back();
}

void ChatHistory::clear() {
  messages_.resize(first_exchange());
  bytes_ = 0;
}

json::object ChatHistory::request(std::string const& model, SamplingOptions const& sampling) const {
  json::object body{{"model", model}, {"messages", messages_}, {"stream", true}};
  add_sampling(body, sampling);
  if (sampling.greedy) body["temperature"] = 0;
  return body;
}

}  // namespace homelab::cli
