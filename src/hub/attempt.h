#pragma once
// One HTTP transfer of (the rest of) one file into a sink.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "http/client.h"
#include "sink.h"
#include "transfer_head.h"

namespace homelab::hub {

/// How a transfer ended, told when everything it brought is kept by the sink.
struct AttemptResult {
  HeadVerdict verdict = HeadVerdict::kRetry;
  bool has_head = false;
  int http_status = 0;
  http::Headers headers;
  std::uint64_t received_bytes = 0;
  Status transfer;  ///< of the network
  Status kept;      ///< of hashing and writing
};

/// Starts the transfer. `counter` grows with every byte that arrives. `done` is called once, on any
/// thread. The handle may be dropped.
[[nodiscard]] std::shared_ptr<http::Transfer> start_attempt(
    http::Client& client, http::ClientRequest request, WantedBytes wanted,
    std::shared_ptr<Sink> sink, std::atomic<std::uint64_t>& counter,
    std::function<void(AttemptResult)> done);

}  // namespace homelab::hub
