// RFC 9651 by its sections: what each form means, and what makes a whole field malformed. In the tables <hh>
// is the byte of that number.
#include "resolver/structured_fields.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/resolver/hostile.h"

namespace entrepot::resolver::structured {
namespace {

enum Kind { kItem, kList, kDictionary };
struct Row {
  Kind kind;
  const char* text;
  const char* means;  // written canonically, a decimal with three digits, bytes in hex; null: malformed
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.text; }

std::string bytes_of(std::string_view notation) {
  std::string bytes;
  while (!notation.empty()) {
    const bool coded = notation.front() == '<';
    bytes.push_back(coded ? static_cast<char>(std::stoi(std::string(notation.substr(1, 2)), nullptr, 16))
                          : notation.front());
    notation.remove_prefix(coded ? 4 : 1);
  }
  return bytes;
}

std::string written(int64_t value) { return std::to_string(value); }
std::string written(const Decimal& value) {
  char text[32];
  const int64_t size = std::abs(value.thousandths);
  std::snprintf(text, sizeof(text), "%s%ld.%03ld", value.thousandths < 0 ? "-" : "",
                static_cast<long>(size / 1000), static_cast<long>(size % 1000));
  return text;
}
std::string written(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) text.append(c == '"' || c == '\\' ? "\\" : "").push_back(c);
  return text + "\"";
}
std::string written(const Token& value) { return value.text; }
std::string written(bool value) { return value ? "?1" : "?0"; }
std::string written(const Date& value) { return "@" + std::to_string(value.seconds); }
std::string written(const DisplayString& value) { return "%\"" + value.text + "\""; }
std::string written(const ByteSequence& value) {
  std::string text = ":";
  for (const char c : value.bytes) {
    char pair[3];
    std::snprintf(pair, sizeof(pair), "%02x", static_cast<unsigned>(static_cast<uint8_t>(c)));
    text += pair;
  }
  return text + ":";
}
std::string written(const BareItem& value) {
  return std::visit([](const auto& one) { return written(one); }, value);
}
std::string written(const Parameters& parameters) {
  std::string text;
  for (const auto& [key, value] : parameters) text += ";" + key + "=" + written(value);
  return text;
}
std::string written(const Item& item) { return written(item.value) + written(item.parameters); }
std::string written(const InnerList& inner) {
  std::string text;
  for (const Item& item : inner.items) text += (text.empty() ? "" : " ") + written(item);
  return "(" + text + ")" + written(inner.parameters);
}
std::string written(const Member& member) {
  return std::visit([](const auto& one) { return written(one); }, member);
}
std::string written(const List& list) {
  std::string text;
  for (const Member& member : list) text += (text.empty() ? "" : ", ") + written(member);
  return text;
}
std::string written(const Dictionary& dictionary) {
  std::string text;
  for (const auto& [key, member] : dictionary)
    text += (text.empty() ? "" : ", ") + key + "=" + written(member);
  return text;
}

template <typename T>
std::string outcome(const std::optional<T>& parsed) {
  return parsed ? written(*parsed) : "malformed";
}

class StructuredField : public testing::TestWithParam<Row> {};

TEST_P(StructuredField, MeansWhatTheTableSays) {
  const Row& row = GetParam();
  const std::string text = bytes_of(row.text);
  const std::string seen = row.kind == kItem   ? outcome(parse_item(text))
                           : row.kind == kList ? outcome(parse_list(text))
                                               : outcome(parse_dictionary(text));
  EXPECT_EQ(seen, row.means ? bytes_of(row.means) : "malformed");
}

std::vector<Row> malformed(Kind kind, std::initializer_list<const char*> texts) {
  std::vector<Row> rows;
  for (const char* text : texts) rows.push_back({kind, text, nullptr});
  return rows;
}

// 4.2, 3.3.1: integers.
INSTANTIATE_TEST_SUITE_P(Integers, StructuredField,
                         testing::Values(Row{kItem, "0", "0"}, Row{kItem, "1", "1"}, Row{kItem, "-1", "-1"},
                                         Row{kItem, "42", "42"}, Row{kItem, "-42", "-42"},
                                         Row{kItem, "999999999999999", "999999999999999"},
                                         Row{kItem, "-999999999999999", "-999999999999999"},
                                         Row{kItem, "00", "0"}, Row{kItem, "-0", "0"}, Row{kItem, "007", "7"},
                                         Row{kItem, "000000000000001", "1"}, Row{kItem, "  42  ", "42"},
                                         Row{kItem, " 1", "1"}, Row{kItem, "1 ", "1"}));
INSTANTIATE_TEST_SUITE_P(MalformedIntegers, StructuredField,
                         testing::ValuesIn(malformed(kItem, {"",
                                                             "   ",
                                                             "<09>1",
                                                             "1<09>",
                                                             "1000000000000000",
                                                             "-1000000000000000",
                                                             "0000000000000001",
                                                             "-",
                                                             "--1",
                                                             "+1",
                                                             "- 1",
                                                             "1-",
                                                             "1 2",
                                                             "1,2",
                                                             "1a",
                                                             "0x1",
                                                             "1e3",
                                                             "1_000",
                                                             "<0a>1",
                                                             "1<0a>",
                                                             "<00>"})));

// 3.3.2: decimals.
INSTANTIATE_TEST_SUITE_P(Decimals, StructuredField,
                         testing::Values(Row{kItem, "1.5", "1.500"}, Row{kItem, "-1.5", "-1.500"},
                                         Row{kItem, "0.001", "0.001"}, Row{kItem, "-0.001", "-0.001"},
                                         Row{kItem, "1.0", "1.000"}, Row{kItem, "1.12", "1.120"},
                                         Row{kItem, "1.123", "1.123"}, Row{kItem, "00.5", "0.500"},
                                         Row{kItem, "999999999999.999", "999999999999.999"},
                                         Row{kItem, "-999999999999.999", "-999999999999.999"},
                                         Row{kItem, "-0.0", "0.000"}));
INSTANTIATE_TEST_SUITE_P(MalformedDecimals, StructuredField,
                         testing::ValuesIn(malformed(kItem, {"1.", "-1.", ".5", "-.5", "1.1234", "1.0000",
                                                             "1000000000000.0", "1234567890123.1", "1..2",
                                                             "1.2.3", "1. 5", "1.-5", "1,5", "1.5a", "1.5e1",
                                                             "000000000000.0000", "0000000000000.0"})));

// 3.3.3: strings.
INSTANTIATE_TEST_SUITE_P(
    Strings, StructuredField,
    testing::Values(Row{kItem, R"~("")~", R"~("")~"}, Row{kItem, R"~("a")~", R"~("a")~"},
                    Row{kItem, R"~("a b")~", R"~("a b")~"},
                    Row{kItem, R"~("a, b; c=d")~", R"~("a, b; c=d")~"},
                    Row{kItem, R"~("!#~")~", R"~("!#~")~"}, Row{kItem, R"~("(x)")~", R"~("(x)")~"},
                    Row{kItem, R"~("a\"b")~", R"~("a\"b")~"}, Row{kItem, R"~("a\\b")~", R"~("a\\b")~"},
                    Row{kItem, R"~("\\")~", R"~("\\")~"}, Row{kItem, R"~("\"")~", R"~("\"")~"}));
INSTANTIATE_TEST_SUITE_P(
    MalformedStrings, StructuredField,
    testing::ValuesIn(malformed(kItem, {R"~(")~", R"~("a)~", R"~(a")~", R"~("a"b)~", R"~("a" "b")~", "'a'",
                                        R"~("\a")~", R"~("<0a>")~", R"~("\\)~", R"~("\")~", R"~("a\ b")~",
                                        R"~("a<09>b")~", R"~("a<01>b")~", R"~("a<7f>b")~", R"~("<c3><bc>")~",
                                        R"~("a<00>b")~", R"~("<1f>")~", R"~("<80>")~"})));

// 3.3.4: tokens.
INSTANTIATE_TEST_SUITE_P(Tokens, StructuredField,
                         testing::Values(Row{kItem, "a", "a"}, Row{kItem, "A", "A"}, Row{kItem, "*", "*"},
                                         Row{kItem, "a1", "a1"}, Row{kItem, "foo123/456", "foo123/456"},
                                         Row{kItem, "a:b", "a:b"}, Row{kItem, "*a", "*a"},
                                         Row{kItem, "text/html", "text/html"},
                                         Row{kItem, "x!#$%&'*+-.^_`|~y", "x!#$%&'*+-.^_`|~y"},
                                         Row{kItem, "a/b:c", "a/b:c"},
                                         Row{kItem, "https://a/b", "https://a/b"}, Row{kItem, "Abc", "Abc"}));
INSTANTIATE_TEST_SUITE_P(
    MalformedTokens, StructuredField,
    testing::ValuesIn(malformed(kItem, {"/a",       ":a b",   "!a",   "#a",    "-a",     "_a",  ".a",  "a b",
                                        R"~(a")~",  "a,b",    "a=b",  "a(b",   "a@b",    "a?b", "a[b", "a{b",
                                        R"~(a\b)~", "a<3c>b", "<e4>", "a<e4>", "a<09>b", "~a",  "^a"})));

// 3.3.5: byte sequences.
INSTANTIATE_TEST_SUITE_P(ByteSequences, StructuredField,
                         testing::Values(Row{kItem, "::", "::"}, Row{kItem, ":aGVsbG8=:", ":68656c6c6f:"},
                                         Row{kItem, ":aGVsbG8:", ":68656c6c6f:"},
                                         Row{kItem, ":YQ==:", ":61:"}, Row{kItem, ":YQ:", ":61:"},
                                         Row{kItem, ":YQ=:", ":61:"}, Row{kItem, ":iZ==:", ":89:"},
                                         Row{kItem, ":+/A=:", ":fbf0:"}, Row{kItem, ":AAAA:", ":000000:"},
                                         Row{kItem, ":////:", ":ffffff:"}));
INSTANTIATE_TEST_SUITE_P(
    MalformedByteSequences, StructuredField,
    testing::ValuesIn(malformed(
        kItem, {":",       ":aGVsbG8=", "aGVsbG8=:",     ":aGVs bG8=:",   ":aGVsbG8=!:", ":aGVs=bG8=:",
                ":=:",     ":==:",      ":a:",           ":aaaaa:",       ":YWJj=:",     ":YWJj====:",
                ":YQ===:", ":_-8=:",    ":aGVs<09>bG8:", ":aGVs<0a>bG8:", ":aGVsbG8=:a", ":aGVsbG8=::",
                ":<c3>:",  ":.:",       ":aGVsbG8=.:"})));

// 3.3.6: booleans.
INSTANTIATE_TEST_SUITE_P(Booleans, StructuredField,
                         testing::Values(Row{kItem, "?0", "?0"}, Row{kItem, "?1", "?1"}));
INSTANTIATE_TEST_SUITE_P(MalformedBooleans, StructuredField,
                         testing::ValuesIn(malformed(kItem, {"?", "?2", "?T", "?F", "?true", "?10", "?00",
                                                             "? 1", "1?", "??1", "?-1", "true?"})));

// 3.3.7: dates.
INSTANTIATE_TEST_SUITE_P(Dates, StructuredField,
                         testing::Values(Row{kItem, "@0", "@0"}, Row{kItem, "@1659578233", "@1659578233"},
                                         Row{kItem, "@-1659578233", "@-1659578233"},
                                         Row{kItem, "@999999999999999", "@999999999999999"}));
INSTANTIATE_TEST_SUITE_P(MalformedDates, StructuredField,
                         testing::ValuesIn(malformed(kItem, {"@", "@1.5", "@1659578233.0", "@-", "@a", "@ 1",
                                                             R"~(@"1")~", "@1000000000000000", "@@1", "@+1",
                                                             "@1a"})));

// 3.3.8: display strings.
INSTANTIATE_TEST_SUITE_P(DisplayStrings, StructuredField,
                         testing::Values(Row{kItem, R"~(%"")~", R"~(%"")~"},
                                         Row{kItem, R"~(%"abc")~", R"~(%"abc")~"},
                                         Row{kItem, R"~(%"f%c3%bc")~", R"~(%"f<c3><bc>")~"},
                                         Row{kItem, R"~(%"%22%5c%25")~", R"~(%""\%")~"},
                                         Row{kItem, R"~(%"%f0%9f%98%80")~", R"~(%"<f0><9f><98><80>")~"},
                                         Row{kItem, R"~(%"%e2%82%ac")~", R"~(%"<e2><82><ac>")~"},
                                         Row{kItem, R"~(%"a b'c")~", R"~(%"a b'c")~"},
                                         Row{kItem, R"~(%"%f4%8f%bf%bf")~", R"~(%"<f4><8f><bf><bf>")~"}));
INSTANTIATE_TEST_SUITE_P(MalformedDisplayStrings, StructuredField,
                         testing::ValuesIn(malformed(kItem, {"%",
                                                             "%a",
                                                             R"~(%")~",
                                                             R"~(%"abc)~",
                                                             R"~(% "abc")~",
                                                             "%'abc'",
                                                             R"~(%"%C3%BC")~",
                                                             R"~(%"%c3%BC")~",
                                                             R"~(%"%c")~",
                                                             R"~(%"%")~",
                                                             R"~(%"%cg")~",
                                                             R"~(%"%c3")~",
                                                             R"~(%"%c3%28")~",
                                                             R"~(%"%a0")~",
                                                             R"~(%"%ff")~",
                                                             R"~(%"%fe")~",
                                                             R"~(%"%c0%80")~",
                                                             R"~(%"%c1%bf")~",
                                                             R"~(%"%e0%80%80")~",
                                                             R"~(%"%e0%9f%bf")~",
                                                             R"~(%"%ed%a0%80")~",
                                                             R"~(%"%ed%bf%bf")~",
                                                             R"~(%"%f0%80%80%80")~",
                                                             R"~(%"%f0%8f%bf%bf")~",
                                                             R"~(%"%f4%90%80%80")~",
                                                             R"~(%"%f5%80%80%80")~",
                                                             R"~(%"%e2%82")~",
                                                             R"~(%"%f0%9f%98")~",
                                                             R"~(%"<c3><bc>")~",
                                                             R"~(%"a<09>b")~",
                                                             R"~(%"a<7f>")~",
                                                             R"~(%"a"b)~",
                                                             R"~(%"%bf")~",
                                                             R"~(%"%c3%c3")~",
                                                             R"~(%"% 41")~"})));

// 3.1.2: parameters.
INSTANTIATE_TEST_SUITE_P(
    Parameters, StructuredField,
    testing::Values(Row{kItem, "a;b", "a;b=?1"}, Row{kItem, "a;b=?0", "a;b=?0"},
                    Row{kItem, "a;b=1;c=2", "a;b=1;c=2"}, Row{kItem, "a; b=1;  c", "a;b=1;c=?1"},
                    Row{kItem, "a;b=1;b=2", "a;b=2"}, Row{kItem, "a;b=1;c=3;b=2", "a;b=2;c=3"},
                    Row{kItem, "1;q=0.5", "1;q=0.500"}, Row{kItem, R"~("x";y="z;w")~", R"~("x";y="z;w")~"},
                    Row{kItem, "a;*b=*", "a;*b=*"}, Row{kItem, "a;b_c-d.e*f9=1", "a;b_c-d.e*f9=1"},
                    Row{kItem, "a;b=:YQ==:", "a;b=:61:"}, Row{kItem, "?1;a=@5", "?1;a=@5"},
                    Row{kItem, "a;b=c/d;e=?1", "a;b=c/d;e=?1"}, Row{kItem, "a;b ", "a;b=?1"}));
INSTANTIATE_TEST_SUITE_P(
    MalformedParameters, StructuredField,
    testing::ValuesIn(malformed(kItem,
                                {"a;",       "a;;b",    "a;B=1",  "a;1=1", "a;b=",   "a;b= 1", "a ;b=1",
                                 "a;b =1",   "a;b=(1)", "a;-b",   "a;_b",  "a;.b",   "a;b=1;", "a;<09>b",
                                 "a;b=1 ;c", "a;b=/",   "a;bC=1", "a;=1",  "a;b=1,", "a;b,c",  R"~(a;b="x)~",
                                 "a;b=1.",   "a;b=?",   ";b",     "a;b$=1"})));

// 4.2.3: an item is one, and no inner list.
INSTANTIATE_TEST_SUITE_P(MalformedOneItem, StructuredField,
                         testing::ValuesIn(malformed(kItem,
                                                     {"(a)", "()", "a, b", "a=1", "=1", "[a]", "<3c>a>",
                                                      "<ef><bb><bf>1", "a;b;c d", "@1 @2"})));

// 3.1, 4.2.1: lists.
INSTANTIATE_TEST_SUITE_P(
    Lists, StructuredField,
    testing::Values(Row{kList, "", ""}, Row{kList, "   ", ""}, Row{kList, "a", "a"},
                    Row{kList, "a, b", "a, b"}, Row{kList, "a,b", "a, b"}, Row{kList, "a ,b", "a, b"},
                    Row{kList, "a <09>,<09> b", "a, b"}, Row{kList, " a, b ", "a, b"},
                    Row{kList, "a, a", "a, a"},
                    Row{kList, R"~(1, 1.5, "s", t, :YQ==:, ?1, @1)~", R"~(1, 1.500, "s", t, :61:, ?1, @1)~"},
                    Row{kList, "a;x=1, b;y", "a;x=1, b;y=?1"}, Row{kList, R"~("a,b", c)~", R"~("a,b", c)~"},
                    Row{kList, "a<09>", "a"}));
INSTANTIATE_TEST_SUITE_P(
    MalformedLists, StructuredField,
    testing::ValuesIn(malformed(
        kList, {",",     ", a",     "a,",         "a, ",   "a,,b",      "a, ,b",      "a b",
                "a;",    "a, b,",   "a<09>,<09>", "<09>a", "a;b=1;, c", R"~(a, "b)~", "1, 1000000000000000",
                "a, =b", "(a",      "a)",         "a, (b", "a ; b",     "a<0a>, b",   "a, B=",
                "a, ?2", "a, <e4>", "a; b, c d",  "a,<00>"})));

// 3.1.1: inner lists.
INSTANTIATE_TEST_SUITE_P(
    InnerLists, StructuredField,
    testing::Values(Row{kList, "()", "()"}, Row{kList, "( )", "()"}, Row{kList, "(a)", "(a)"},
                    Row{kList, "(a b)", "(a b)"}, Row{kList, "( a  b )", "(a b)"},
                    Row{kList, "(a b), c", "(a b), c"}, Row{kList, "(a);x=1", "(a);x=1"},
                    Row{kList, "(a;y b;z=2);x=1", "(a;y=?1 b;z=2);x=1"}, Row{kList, "();a", "();a=?1"},
                    Row{kList, R"~((1 "b" c), (d), ())~", R"~((1 "b" c), (d), ())~"},
                    Row{kList, R"~(("a) b"))~", R"~(("a) b"))~"}, Row{kList, "(1.5)", "(1.500)"}));
INSTANTIATE_TEST_SUITE_P(
    MalformedInnerLists, StructuredField,
    testing::ValuesIn(malformed(
        kList, {"(",        "(a",          "(a b",      "(a,b)",         "(a, b)", "(a b))",     "((a))",
                "(a<09>b)", R"~((a"b"))~", "(a(b))",    R"~(("a""b"))~", "(a);",   "(a) b",      "(a)b",
                "(a);X",    "(a;)",        "(<09>a)",   "(a) ;x",        "( a b",  "(:YQ==:?1)", R"~(("a))~",
                "(=a)",     "() ()",       "(a;b=(c))", "(a b) c",       "(1,)",   "(a<0a>)"})));

// 3.2, 4.2.2: dictionaries.
INSTANTIATE_TEST_SUITE_P(
    Dictionaries, StructuredField,
    testing::Values(Row{kDictionary, "", ""}, Row{kDictionary, "  ", ""}, Row{kDictionary, "a", "a=?1"},
                    Row{kDictionary, "a=1", "a=1"}, Row{kDictionary, "a=1, b=2", "a=1, b=2"},
                    Row{kDictionary, "a=1,b=2", "a=1, b=2"}, Row{kDictionary, "a=1 ,<09>b=2", "a=1, b=2"},
                    Row{kDictionary, "a=1, b, c=3", "a=1, b=?1, c=3"}, Row{kDictionary, "a;x=1", "a=?1;x=1"},
                    Row{kDictionary, "a=1;x, b;y=2", "a=1;x=?1, b=?1;y=2"},
                    Row{kDictionary, "a=(1 2);x=3", "a=(1 2);x=3"}, Row{kDictionary, "a=()", "a=()"},
                    Row{kDictionary, "a=1, a=2", "a=2"}, Row{kDictionary, "a=1, b=3, a=2", "a=2, b=3"},
                    Row{kDictionary, "a=1, a", "a=?1"}, Row{kDictionary, "a=?0, b=?1", "a=?0, b=?1"},
                    Row{kDictionary, "*=1", "*=1"}, Row{kDictionary, "*a_b-c.d*9=x", "*a_b-c.d*9=x"},
                    Row{kDictionary, "a=?1;x, a=5", "a=5"}, Row{kDictionary, " a=1 ", "a=1"},
                    Row{kDictionary, "max-age=60, must-revalidate", "max-age=60, must-revalidate=?1"},
                    Row{kDictionary, "u=3, i", "u=3, i=?1"},
                    Row{kDictionary, "sha-256=:YQ==:", "sha-256=:61:"},
                    Row{kDictionary, R"~(a="x, b=2")~", R"~(a="x, b=2")~"}));
INSTANTIATE_TEST_SUITE_P(MalformedDictionaries, StructuredField,
                         testing::ValuesIn(malformed(kDictionary, {",",
                                                                   "a,",
                                                                   "a=1,",
                                                                   "a=1, ",
                                                                   "a=1,,b=2",
                                                                   ",a=1",
                                                                   "A=1",
                                                                   "Max-Age=60",
                                                                   "a=",
                                                                   "a= 1",
                                                                   "a =1",
                                                                   "a = 1",
                                                                   "a=1 b=2",
                                                                   "a=1;",
                                                                   "1=1",
                                                                   "-a=1",
                                                                   "_a=1",
                                                                   ".a=1",
                                                                   "=1",
                                                                   "a==1",
                                                                   "a=1, B=2",
                                                                   "a=1, =2",
                                                                   "a=(1",
                                                                   "a=1)",
                                                                   "a=1, b=",
                                                                   R"~(a="x)~",
                                                                   R"~("a"=1)~",
                                                                   "a b=1",
                                                                   "a=1;b=(2)",
                                                                   "(a)=1",
                                                                   "a<09>=1",
                                                                   "<09>a=1",
                                                                   "a=1; B=2",
                                                                   "a=1, b=?2",
                                                                   "a=60s",
                                                                   "a=1, <e4>=2",
                                                                   "a;x=1=2",
                                                                   "a=b=c",
                                                                   "a=@",
                                                                   "a=1.",
                                                                   "a, b;",
                                                                   "a=1<0a>",
                                                                   "a=1,<00>",

                                                                   "max-age = 60",
                                                                   "max-age='60'",
                                                                   "a=,b=1"})));

TEST(StructuredFieldValue, IsFoundByKeyAndType) {
  const auto dictionary = parse_dictionary("max-age=60;x=1, private, list=(1 2), rate=0.5");
  ASSERT_TRUE(dictionary);
  EXPECT_EQ(*value_as<int64_t>(find(*dictionary, "max-age")), 60);
  EXPECT_EQ(*value_as<bool>(find(*dictionary, "private")), true);
  EXPECT_EQ(value_as<int64_t>(find(*dictionary, "private")), nullptr);
  EXPECT_EQ(value_as<int64_t>(find(*dictionary, "list")), nullptr);
  EXPECT_EQ(value_as<int64_t>(find(*dictionary, "rate")), nullptr);
  EXPECT_EQ(value_as<int64_t>(find(*dictionary, "absent")), nullptr);
  const auto& item = std::get<Item>(*find(*dictionary, "max-age"));
  EXPECT_EQ(std::get<int64_t>(*find(item.parameters, "x")), 1);
  EXPECT_EQ(find(item.parameters, "y"), nullptr);
}

TEST(StructuredFieldValue, OfDamagedTextIsMalformedOrAList) {
  const std::string good = R"(a;x=1, (b "c\"d" 1.5);y, :YQ==:, @5, ?0, 77;z=-1)";
  size_t sound = 0;
  feed_damaged(good, 3000, [&sound](const std::string& text) {
    const auto list = parse_list(text);
    if (!list) return;
    ++sound;
    EXPECT_EQ(list->empty(), text.empty()) << text;
  });
  EXPECT_GT(sound, 50u);
}

}  // namespace
}  // namespace entrepot::resolver::structured
