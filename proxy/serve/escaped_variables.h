// Variables as they stand in a line of the access log: no value ends the line, or the string that it stands in.
#pragma once

#include <cstdint>

#include "proxy/config/variables.h"

namespace entrepot::serve {

class EscapedVariables final : public config::VariableSource {
 public:
  enum class Escape : uint8_t {
    kDefault,  // "\xHH" for quotes, backslashes, control characters and what is not ASCII; "-" for nothing
    kJson,     // what may stand in a JSON string (RFC 8259 7); bytes that are not ASCII stay
    kNone,
  };
  EscapedVariables(const config::VariableSource& variables, Escape escape)
      : variables_(variables), escape_(escape) {}
  bool append(uint16_t id, std::string_view argument, std::string& out) const override;

 private:
  const config::VariableSource& variables_;
  const Escape escape_;
};

}  // namespace entrepot::serve
