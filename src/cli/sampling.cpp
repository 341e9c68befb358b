#include "sampling.h"

namespace homelab::cli {

void add_sampling(json::object& body, SamplingOptions const& sampling) {
  if (sampling.max_tokens) body["max_tokens"] = *sampling.max_tokens;
  if (sampling.temperature) body["temperature"] = *sampling.temperature;
  if (sampling.top_p) body["top_p"] = *sampling.top_p;
  if (sampling.top_k) body["top_k"] = *sampling.top_k;
  if (sampling.min_p) body["min_p"] = *sampling.min_p;
  if (sampling.repeat_penalty) body["repeat_penalty"] = *sampling.repeat_penalty;
  if (sampling.seed) body["seed"] = *sampling.seed;
  if (!sampling.stop.empty())
    body["stop"] = json::array(sampling.stop.begin(), sampling.stop.end());
}

}  // namespace homelab::cli
