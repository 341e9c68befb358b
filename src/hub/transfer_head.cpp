#include "transfer_head.h"

#include <optional>

#include "base/strings.h"
#include "retry.h"

namespace homelab::hub {
namespace {

struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> total;
};

/// "bytes 5-9/10" or "bytes 5-9/*".
std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!to_lower(text.substr(0, 6)).starts_with("bytes ")) return std::nullopt;
  auto const parts = split(text.substr(6), '/');
  if (parts.size() != 2) return std::nullopt;
  auto const ends = split(parts[0], '-');
  if (ends.size() != 2) return std::nullopt;
  auto const first = parse_uint(trim(ends[0]));
  auto const last = parse_uint(trim(ends[1]));
  if (!first || !last || *last < *first) return std::nullopt;
  return ContentRange{*first, *last, parse_uint(trim(parts[1]))};
}

/// Only headers of the Hub itself count: the etag of a content network names something else
/// (hub-protocol §4.1).
bool names_other_content(WantedBytes const& wanted, http::Headers const& headers) {
  auto etag = headers.find("X-Linked-ETag");
  if (!etag && headers.find("X-Repo-Commit")) etag = headers.find("ETag");
  if (etag) {
    auto const name = cache::BlobName::from_etag(*etag);
    if (name && *name != wanted.name) return true;
  }
  auto const size = headers.find("X-Linked-Size");
  return size && parse_uint(trim(*size)).value_or(wanted.size_bytes) != wanted.size_bytes;
}

bool is_encoded(http::Headers const& headers) {
  auto const encoding = headers.find("Content-Encoding");
  return encoding && !encoding->empty() && to_lower(*encoding) != "identity";
}

HeadVerdict judge_full(WantedBytes const& wanted, http::Headers const& headers) {
  if (auto const length = headers.find("Content-Length"); length && !is_encoded(headers))
    if (parse_uint(trim(*length)) != wanted.size_bytes) return HeadVerdict::kChanged;
  return wanted.from == 0 ? HeadVerdict::kAppend : HeadVerdict::kStartOver;
}

HeadVerdict judge_partial(WantedBytes const& wanted, http::Headers const& headers) {
  auto const range = parse_content_range(headers.find("Content-Range").value_or(""));
  if (!range) return HeadVerdict::kChanged;
  if (range->total && *range->total != wanted.size_bytes) return HeadVerdict::kChanged;
  if (range->last >= wanted.size_bytes) return HeadVerdict::kChanged;
  if (range->first == wanted.from) return HeadVerdict::kAppend;
  return range->first == 0 ? HeadVerdict::kStartOver : HeadVerdict::kChanged;
}

}  // namespace

HeadVerdict judge_head(WantedBytes const& wanted, int status, http::Headers const& headers) {
  if (is_retryable_status(status)) return HeadVerdict::kRetry;
  // A signed address that has expired answers 403 without the Hub's error code; asking the Hub
  // again renews it.
  if (status == 403 && !headers.find("X-Error-Code") && !headers.find("X-Repo-Commit"))
    return HeadVerdict::kRetry;
  if (status == 416) return HeadVerdict::kChanged;
  if (status != 200 && status != 206) return HeadVerdict::kRefused;
  if (names_other_content(wanted, headers)) return HeadVerdict::kChanged;
  return status == 206 ? judge_partial(wanted, headers) : judge_full(wanted, headers);
}

}  // namespace homelab::hub
