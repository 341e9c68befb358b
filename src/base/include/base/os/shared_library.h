#pragma once
// A library that is loaded when it is needed, not with the program (docs/decisions, "Two libraries
// are loaded when they are needed").
#include <string>

namespace homelab {

/// Stays loaded until the process ends. Its functions throw std::runtime_error, which says what to
/// install. One thread at a time.
class SharedLibrary {
 public:
  /// `file`: "libcurl.so.4"; `package`: the Debian package that brings it.
  SharedLibrary(std::string file, std::string package);

  /// Points `function` to the library's function of that name. Its type is not checked: take it
  /// from the library's own header.
  template <class Function>
  void find(char const* name, Function& function) const {
    function = reinterpret_cast<Function>(address_of(name));
  }

 private:
  [[nodiscard]] void* address_of(char const* name) const;

  std::string file_;
  std::string package_;
  void* handle_;
};

}  // namespace homelab
