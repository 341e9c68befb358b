#pragma once
// What a client may say about a generation: read, checked and described in one place.
#include "engine/engine_service.h"
#include "validation.h"

namespace homelab::api {

/// max_tokens, temperature, top_p, do_sample (contract §2.6), "model" (ours; its name as it came),
/// and the engine's other parameters under its own names. The prompt is not read.
[[nodiscard]] engine::GenerateRequest read_sampling(BodyReader& body);
/// "prompt" and the same.
[[nodiscard]] engine::GenerateRequest read_generation(BodyReader& body);
/// "messages" of a conversation: 1 to 10,000 of {"role", "content"}; what else a message has is the
/// template's affair.
[[nodiscard]] json::array read_messages(BodyReader& body);
/// "chat_template_kwargs": what the model's template understands, for example enable_thinking.
[[nodiscard]] json::object read_template_options(BodyReader& body);

}  // namespace homelab::api
