#pragma once
// Arguments and environment of a program in the form in which the kernel takes them.
#include <string>
#include <vector>

namespace homelab::os {

/// This process's environment with `extra` ("NAME=value") on top. A name does not stand there
/// twice: programs differ in which of the two they take.
[[nodiscard]] std::vector<std::string> merged_environment(std::vector<std::string> extra);

/// Pointers into `words`, which must outlive them and stay as they are; a null at the end.
[[nodiscard]] std::vector<char*> null_terminated(std::vector<std::string>& words);

}  // namespace homelab::os
