#include "error_status.h"

#include <array>

namespace homelab::api {
namespace {

struct Row {
  Code code;
  int call;
  int load;      // of a row that exists: what goes wrong then is the load's failure (contract §2.4)
  int generate;  // contract §2.6: no model loaded is 503; too busy is 503 as well
};

constexpr std::array kTable{
    Row{Code::kInvalidArgument, 400, 500, 500},  //
    Row{Code::kNotFound, 404, 500, 500},         //
    Row{Code::kAlreadyExists, 400, 500, 500},    //
    Row{Code::kFailedPrecondition, 400, 500, 503}, Row{Code::kResourceExhausted, 507, 500, 503},
    Row{Code::kPermissionDenied, 403, 500, 500},   Row{Code::kAborted, 409, 500, 500},
    Row{Code::kUnavailable, 503, 500, 500},        Row{Code::kDeadlineExceeded, 504, 500, 500},
    Row{Code::kCancelled, 503, 500, 409},          Row{Code::kDataLoss, 500, 500, 500},
    Row{Code::kUnimplemented, 501, 500, 500},      Row{Code::kInternal, 500, 500, 500},
};

}  // namespace

int http_status(Code code, Doing doing) {
  for (Row const& row : kTable) {
    if (row.code != code) continue;
    if (doing == Doing::kLoad) return row.load;
    if (doing == Doing::kGenerate) return row.generate;
    return row.call;
  }
  return 500;
}

}  // namespace homelab::api
