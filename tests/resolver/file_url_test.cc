#include "resolver/formats/file_url.h"

#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

constexpr std::string_view kBase = "https://a.example/b/c/d;p?q";

// RFC 3986 5.4.1 and 5.4.2, without fragments.
TEST(ResolveUrl, ExamplesOfTheRfc) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"g", "/b/c/g"},      {"./g", "/b/c/g"},    {"g/", "/b/c/g/"},    {"/g", "/g"},
      {"?y", "/b/c/d;p?y"}, {"g?y", "/b/c/g?y"},  {"#s", "/b/c/d;p?q"}, {"g#s", "/b/c/g"},
      {";x", "/b/c/;x"},    {"", "/b/c/d;p?q"},   {".", "/b/c/"},       {"./", "/b/c/"},
      {"..", "/b/"},        {"../g", "/b/g"},     {"../..", "/"},       {"../../g", "/g"},
      {"../../../g", "/g"}, {"/./g", "/g"},       {"/../g", "/g"},      {"g.", "/b/c/g."},
      {"..g", "/b/c/..g"},  {"./g/.", "/b/c/g/"}, {"g/../h", "/b/c/h"}, {"g?y/../x", "/b/c/g?y/../x"},
  };
  for (const auto& [reference, path] : rows) {
    EXPECT_EQ(resolve_url(kBase, reference), "https://a.example" + std::string(path)) << reference;
  }
  EXPECT_EQ(resolve_url(kBase, "//g"), "https://g");
  EXPECT_EQ(resolve_url(kBase, "HTTP://h/x"), "HTTP://h/x");
  EXPECT_EQ(resolve_url("http://h", "x"), "http://h/x");
}

TEST(ResolveUrl, SpacesAndForeignBytesAreEscaped) {
  EXPECT_EQ(resolve_url(kBase, " \n/x y\xc3\xa9 "), "https://a.example/x%20y%C3%A9");
}

TEST(ResolveUrl, NothingButHttpComesOut) {
  for (const std::string_view reference : {"file:///etc/passwd", "javascript:x", "ftp://h/x", "data:,x",
                                           "http://", "http:///x", "http:x", "x\ny"}) {
    EXPECT_FALSE(resolve_url(kBase, reference)) << reference;
  }
  EXPECT_FALSE(resolve_url("/x", "y"));
}

TEST(FileOfUrl, IsTheLastSegmentDecoded) {
  EXPECT_EQ(file_of_url("https://h/x/-/x-1.0.tgz"), "x-1.0.tgz");
  EXPECT_EQ(file_of_url("https://h/x/x-1%2Bb.tgz?a=/y#z/w"), "x-1+b.tgz");
  EXPECT_EQ(file_of_url("https://h/@s%2fx-1.tgz"), "x-1.tgz");
  EXPECT_EQ(file_of_url("../x-1.tgz"), "x-1.tgz");
  EXPECT_EQ(file_of_url("https://h/100%"), "100%");
}

TEST(FileOfUrl, HostsDirectoriesAndDotsAreNoFiles) {
  for (const std::string_view url :
       {"https://h", "https://h/", "https://h/x/", "https://h/..", "https://h/%2e%2e", "https://h/a%00b",
        "https://h/a%5cb", "", "https://h?x"}) {
    EXPECT_FALSE(file_of_url(url)) << url;
  }
  EXPECT_FALSE(file_of_url("https://h/" + std::string(513, 'a')));
}

TEST(EscapedSegment, ComesBackAsItWas) {
  const std::string file = "a b%2f?#\"<\xc3\xa9+@~.tgz";
  EXPECT_EQ(escaped_segment(file), "a%20b%252f%3F%23%22%3C%C3%A9+@~.tgz");
  EXPECT_EQ(file_of_url("https://h/" + escaped_segment(file)), file);
}

}  // namespace
}  // namespace entrepot::resolver
