#pragma once
// Who may do what: one decision for every request, made from its head before its body is read.
#include <string>
#include <string_view>

#include "access/host_rule.h"
#include "access/origin_rule.h"

namespace homelab::access {

/// What a route asks of its caller.
enum class Need {
  kOpen,    ///< everybody: the page's own files, health, documentation
  kUse,     ///< generate, list, read
  kManage,  ///< change what is registered, loaded or stored; keys, audit
};

/// What the gate looks at; views into the request. Absent fields are empty.
struct Asked {
  std::string_view method;
  Need need = Need::kManage;
  std::string_view host;
  std::string_view origin;
  std::string_view fetch_site;  ///< Sec-Fetch-Site
};

enum class Answer {
  kWelcome,
  kForeignHost,  ///< called under a name that is not this server's
  kForeignPage,  ///< a browser asks for a page of another origin
};

struct Decision {
  Answer answer = Answer::kWelcome;
  std::string reason;  ///< what to do about it, for people; empty when welcome
};

/// GET, HEAD and OPTIONS change nothing.
[[nodiscard]] bool is_changing(std::string_view method);

/// All functions are thread-safe and do not block.
class Gate {
 public:
  struct Options {
    HostRule::Options hosts;
    std::vector<std::string> cors_origins;  ///< as OriginRule takes them
  };
  explicit Gate(Options options);

  [[nodiscard]] Decision decide(Asked const& asked) const;
  [[nodiscard]] OriginRule const& origins() const { return origins_; }

 private:
  HostRule hosts_;
  OriginRule origins_;
};

}  // namespace homelab::access
