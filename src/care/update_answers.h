#pragma once
// What comes of asking the Hub about registered models: kept in the registry, or nobody answered.
#include <string>
#include <vector>

#include "care/update.h"

namespace homelab::care {

/// Tells Work::record_checks what the rows say; a failure is a remark.
void keep_checks(Work const& work, UpdateChoice const& choice, std::vector<UpdatedRef> const& rows);

/// True when no Hub answers at all (the network, the address, offline), rather than this one
/// question. Asks once more, shortly, to know it.
[[nodiscard]] bool is_out_of_reach(Work const& work, Error const& error);
/// One line for people.
[[nodiscard]] std::string no_hub_text(Work const& work, Error const& error);
/// The row of a ref that was not asked for, because of `error` of another one.
[[nodiscard]] UpdatedRef not_asked(UpdateGroup const& group, Error const& error);

}  // namespace homelab::care
