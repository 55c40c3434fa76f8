#include "resolver/formats/pypi_path.h"

#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

using Kind = PypiPath::Kind;

void expect(std::string_view path, Kind kind, std::string_view project, std::string_view file) {
  const PypiPath parsed = parse_pypi_path(path);
  EXPECT_EQ(parsed.kind, kind) << path;
  EXPECT_EQ(parsed.project, project) << path;
  EXPECT_EQ(parsed.file, file) << path;
}

// PEP 503, "Normalized Names".
TEST(PypiName, RunsOfSeparatorsBecomeOneHyphen) {
  EXPECT_EQ(normalise_pypi_name("Friendly-._.-Bard"), "friendly-bard");
  EXPECT_EQ(normalise_pypi_name("zope.interface"), "zope-interface");
  EXPECT_EQ(normalise_pypi_name("a_b"), "a-b");
  EXPECT_EQ(normalise_pypi_name(""), "");
}

TEST(PypiPath, Pages) {
  expect("/simple/", Kind::kRoot, "", "");
  expect("/simple/requests/", Kind::kPage, "requests", "");
  expect("/simple/requests", Kind::kRedirect, "requests", "");
  expect("/simple/Zope.Interface/", Kind::kRedirect, "zope-interface", "");
  expect("/simple", Kind::kRedirect, "", "");
}

TEST(PypiPath, FilesAndTheirMetadata) {
  expect("/files/a-b/a_b-1.0-py3-none-any.whl", Kind::kFile, "a-b", "a_b-1.0-py3-none-any.whl");
  expect("/files/A_B/a_b-1.0.tar.gz", Kind::kFile, "a-b", "a_b-1.0.tar.gz");
  expect("/files/a/a-1-py3-none-any.whl.metadata", Kind::kMetadata, "a", "a-1-py3-none-any.whl");
}

TEST(PypiPath, EverythingElsePasses) {
  for (const std::string_view path : {"",
                                      "/",
                                      "simple/",
                                      "/simplex/",
                                      "/simple//",
                                      "/simple/a/b/",
                                      "/simple/../",
                                      "/simple/-a/",
                                      "/simple/a b/",
                                      "/files/",
                                      "/files/a",
                                      "/files/a/",
                                      "/files/a/..",
                                      "/files/a/b/c",
                                      "/files/../b",
                                      "/files/a/.metadata",
                                      "/files/a/...metadata",
                                      "/files/a/b\\c",
                                      "/pypi/a/json",
                                      "/pypi"}) {
    expect(path, Kind::kPass, "", "");
  }
}

}  // namespace
}  // namespace entrepot::resolver
