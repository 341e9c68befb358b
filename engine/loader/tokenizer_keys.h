#pragma once
// A tokenizer as the metadata of a GGUF.
#include "loader/gguf_header.h"
#include "loader/tokenizer.h"

namespace homelab::loader {

/// Sets general.name and everything below tokenizer.
void set_tokenizer(GgufHeader& header, Tokenizer const& tokenizer);

}  // namespace homelab::loader
