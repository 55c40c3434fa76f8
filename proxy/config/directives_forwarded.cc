// Reader of `forwarded`.
#include "proxy/config/draft.h"

namespace entrepot::config::set {

Failure forwarded(Scope& scope, const Directive& directive) {
  const Word& word = directive.arguments[0];
  auto& out = scope.shared().forwarded;
  if (word.text == "append") {
    out = Forwarded::kAppend;
  } else if (word.text == "replace") {
    out = Forwarded::kReplace;
  } else if (word.text == "off") {
    out = Forwarded::kOff;
  } else {
    return invalid_value(scope, directive, word, "append, replace or off");
  }
  return std::nullopt;
}

}  // namespace entrepot::config::set
