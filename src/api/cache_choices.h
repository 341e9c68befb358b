#pragma once
// The body of POST /api/cache/jobs as one of the cache's commands.
#include <string>
#include <string_view>
#include <variant>

#include "base/json.h"
#include "care/move.h"
#include "care/removal.h"
#include "care/sharing.h"
#include "care/transfer.h"
#include "care/trash.h"
#include "care/update.h"
#include "care/verify.h"
#include "http/message.h"

namespace homelab::api {

using CacheChoice =
    std::variant<care::VerifyChoice, care::GcChoice, care::RmChoice, care::PruneChoice,
                 care::MvChoice, care::AdoptChoice, care::DedupChoice, care::BridgeChoice,
                 care::UndoChoice, care::TrashEmptyChoice, care::UpdateChoice, care::ExportChoice,
                 care::ImportChoice>;

struct CacheJobRequest {
  std::string command;  ///< "verify"
  CacheChoice choice;
  json::object fields;  ///< as they came
};

/// Everything is checked that can be checked without the disk; fields that the command does not
/// have are refused. The error side is the finished 422 (or 400).
[[nodiscard]] tl::expected<CacheJobRequest, http::Response> read_cache_job(
    http::Request const& request);

}  // namespace homelab::api
