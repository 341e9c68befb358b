#pragma once
// The Hub's JSON and error answers, checked and turned into values (hub-protocol §4.2, §4.4). Pure.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"
#include "http/message.h"
#include "hub/hub_api.h"

namespace homelab::hub {

/// `sha` and `lastModified` of a repository info answer. kDataLoss when there is no commit; a date
/// that is none is left out.
[[nodiscard]] Result<RemoteRevision> parse_repo_info(std::string_view body);

/// Appends the files of one page of /tree to `files` (folders are left out). kDataLoss for anything
/// that is no valid entry: the whole listing is refused then, because a server that lists a bad
/// path is not to be trusted.
[[nodiscard]] Status parse_tree_page(std::string_view body, std::vector<cache::TreeFile>& files);

/// Sorts and checks what only the whole listing shows: no path twice, no file that is also a
/// folder.
[[nodiscard]] Result<cache::Tree> make_tree(std::vector<cache::TreeFile> files);

/// URL of rel="next" in a Link header; nullopt when there is none.
[[nodiscard]] std::optional<std::string> next_link(std::string_view header);

/// "https://host:port" in lower case with the scheme's default port filled in; nullopt when `url`
/// is no http(s) URL.
[[nodiscard]] std::optional<std::string> origin_of(std::string_view url);

/// What a failed answer means for the person who asked. `what` names the thing ("org/name at
/// main"), `has_token` tells whether a token was sent. Text of the server is cut to a line of
/// printable ASCII.
[[nodiscard]] Error error_of_answer(int status, http::Headers const& headers, std::string_view what,
                                    std::string_view endpoint, bool has_token);

}  // namespace homelab::hub
