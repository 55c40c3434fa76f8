#include "proxy/serve/escaped_variables.h"

#include <gtest/gtest.h>

namespace entrepot::serve {
namespace {

using Escape = EscapedVariables::Escape;

struct OneValue final : config::VariableSource {
  std::string value;
  bool append(uint16_t, std::string_view, std::string& out) const override {
    out.append(value);
    return !value.empty();
  }
};

std::string escaped(std::string value, Escape escape) {
  OneValue one;
  one.value = std::move(value);
  std::string out = "<";
  EscapedVariables(one, escape).append(0, "", out);
  return out + ">";
}

// nginx's escape=default, json and none.
TEST(EscapedVariables, NoValueEndsTheLineOrItsString) {
  EXPECT_EQ(escaped("a\"b\\c\n\xc3\xa4", Escape::kDefault), "<a\\x22b\\x5Cc\\x0A\\xC3\\xA4>");
  EXPECT_EQ(escaped("a\"b\\c\n\xc3\xa4", Escape::kJson), "<a\\\"b\\\\c\\u000A\xc3\xa4>");
  EXPECT_EQ(escaped("a\"b", Escape::kNone), "<a\"b>");
}

TEST(EscapedVariables, NothingIsADashWhereNginxSaysSo) {
  EXPECT_EQ(escaped("", Escape::kDefault), "<->");
  EXPECT_EQ(escaped("", Escape::kJson), "<>");
  EXPECT_EQ(escaped("", Escape::kNone), "<>");
}

}  // namespace
}  // namespace entrepot::serve
