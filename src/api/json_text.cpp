#include "json_text.h"

#include <fmt/format.h>

#include <cmath>

namespace homelab::api {
namespace {

class Writer {
 public:
  explicit Writer(bool ascii) : ascii_(ascii) {}

  void write(json::value const& value) {
    switch (value.kind()) {
      case json::kind::object:
        return write_object(value.get_object());
      case json::kind::array:
        return write_array(value.get_array());
      case json::kind::double_:
        return write_double(value.get_double());
      case json::kind::string:
        return write_string(value.get_string());
      default:
        out_ += json::serialize(value);
    }
  }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void write_object(json::object const& object) {
    out_ += '{';
    bool first = true;
    for (auto const& member : object) {
      if (!first) out_ += ',';
      first = false;
      write_string(member.key());
      out_ += ':';
      write(member.value());
    }
    out_ += '}';
  }

  void write_array(json::array const& array) {
    out_ += '[';
    bool first = true;
    for (auto const& element : array) {
      if (!first) out_ += ',';
      first = false;
      write(element);
    }
    out_ += ']';
  }

  void write_double(double number) {
    if (!std::isfinite(number)) {
      out_ += "null";
      return;
    }
    std::string const text = fmt::format("{}", number);
    out_ += text;
    if (text.find_first_of(".e") == std::string::npos) out_ += ".0";
  }

  void write_string(std::string_view text) {
    json::value const value(text);
    out_ += ascii_ ? to_ascii_json(value) : json::serialize(value);
  }

  bool ascii_;
  std::string out_;
};

std::string text_of(json::value const& value, bool ascii) {
  Writer writer(ascii);
  writer.write(value);
  return writer.take();
}

}  // namespace

std::string to_json_text(json::value const& value) { return text_of(value, false); }

std::string to_ascii_json_text(json::value const& value) { return text_of(value, true); }

}  // namespace homelab::api
