#pragma once
// One generation as an answer: whole, or as an event stream (contract §2.6); of a prompt, or of a
// conversation.
#include "base/json.h"
#include "dialects.h"
#include "engine/engine_service.h"

namespace homelab::api {

struct WantedGeneration {
  engine::GenerateRequest request;
  /// Not empty: a conversation. Its prompt is what the model's own chat template makes of it.
  json::array messages = {};
  json::object template_options = {};  ///< chat_template_kwargs of the engine
  bool events = false;
};

/// Ends with its client; listed in the request book meanwhile.
[[nodiscard]] http::Reply generation_reply(SharedServices const& services,
                                           http::Request const& request, WantedGeneration wanted);

}  // namespace homelab::api
