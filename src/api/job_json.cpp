#include "job_json.h"

#include "care/printable.h"

namespace homelab::api {
namespace {

json::value time_json(std::optional<UtcTime> const& time) {
  return time ? json::value(to_iso_utc(*time)) : json::value();
}

}  // namespace

json::object job_json(engine::JobView const& job) {
  json::object out;
  out["id"] = job.id;
  out["kind"] = job.kind;
  out["model"] = job.model;
  out["state"] = job.state;
  out["total_bytes"] = job.total_bytes;
  out["done_bytes"] = job.done_bytes;
  out["downloaded_bytes"] = job.downloaded_bytes;
  out["bytes_per_second"] = job.bytes_per_second;
  out["error"] = job.error.empty() ? json::value() : json::value(job.error);
  return out;
}

json::object job_json(jobs::Job const& job, bool with_result) {
  json::array remarks;
  for (auto const& one : job.remarks) remarks.emplace_back(care::printable(one));
  json::object out;
  out["id"] = job.id;
  out["kind"] = job.kind;
  out["model"] = nullptr;  // every entry of the list has the fields of a load
  out["state"] = jobs::to_string(job.state);
  out["what"] = care::printable(job.progress.what);
  out["total_bytes"] = job.progress.total_bytes;
  out["done_bytes"] = job.progress.done_bytes;
  out["total_files"] = job.progress.total_files;
  out["done_files"] = job.progress.done_files;
  out["request"] = job.request;
  out["created"] = to_iso_utc(job.created);
  out["started"] = time_json(job.started);
  out["ended"] = time_json(job.ended);
  out["retry_of"] = job.retry_of ? json::value(*job.retry_of) : json::value();
  out["remarks"] = std::move(remarks);
  out["complete"] = job.result ? json::value(job.result->complete) : json::value();
  out["error"] = job.error ? json::value(care::printable(job.error->message, true)) : json::value();
  out["error_code"] = job.error ? json::value(to_string(job.error->code)) : json::value();
  if (with_result) out["result"] = job.result ? job.result->value : json::value();
  return out;
}

}  // namespace homelab::api
