#pragma once
// What the name of a GGUF file tells: quantisation and place in a set of shards. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace homelab::hub {

/// "<stem>-00002-of-00005.<extension>" taken apart.
struct ShardName {
  std::string stem;  ///< everything before "-00002-of-…", with folders
  unsigned index = 1;
  unsigned count = 1;
};
/// nullopt when `path` is no shard name, or index and count do not fit each other. `extension`
/// without dot.
[[nodiscard]] std::optional<ShardName> parse_shard_name(std::string_view path,
                                                        std::string_view extension);

/// The quantisation in a file name, upper case ("Q4_K_M", "UD-Q4_K_XL", "IQ3_XXS", "BF16"); empty
/// when there is none. The last one in the name counts. `stem`: without ".gguf" and shard suffix;
/// folders are looked at only when the file name itself has none
/// ("Q8_0/model-00001-of-00002.gguf").
[[nodiscard]] std::string quantisation_of(std::string_view stem);

/// Order in which a default is chosen: 0 is Q4_K_M, then what is closest to it in quality; unknown
/// ones come last.
[[nodiscard]] unsigned default_rank(std::string_view quantisation);

}  // namespace homelab::hub
