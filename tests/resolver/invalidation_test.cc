// RFC 9111 4.4.
#include "resolver/invalidation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace entrepot::resolver {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;

TEST(Invalidation, IsByUnsafeMethodsAlone) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "MOVE", "FOO", "get"})
    EXPECT_THAT(invalidated_targets(method, "https://a", "/x", 200, {}), ElementsAre("/x")) << method;
  for (const char* method : {"GET", "HEAD", "OPTIONS", "TRACE"})
    EXPECT_THAT(invalidated_targets(method, "https://a", "/x", 200, {}), IsEmpty()) << method;
}

TEST(Invalidation, IsByAnswersThatAreNoErrors) {
  for (const int status : {200, 201, 204, 206, 299, 301, 303, 304, 399})
    EXPECT_THAT(invalidated_targets("POST", "https://a", "/x", status, {}), ElementsAre("/x")) << status;
  for (const int status : {100, 199, 400, 404, 412, 500, 503})
    EXPECT_THAT(invalidated_targets("POST", "https://a", "/x", status, {}), IsEmpty()) << status;
}

TEST(Invalidation, TakesWhatLocationsNameWithinTheOrigin) {
  const struct {
    const char* reference;
    const char* target;  // null: nothing besides
  } kRows[] = {{"/y", "/y"},
               {"/y?a=b", "/y?a=b"},
               {"/y#part", "/y"},
               {" /y ", "/y"},
               {"y", "/d/y"},
               {"./y", "/d/y"},
               {"../y", "/y"},
               {"../../../y", "/y"},
               {"y/../z/.", "/d/z/"},
               {"?p=2", "/d/x?p=2"},
               {"", nullptr},
               {"#part", nullptr},
               {"https://example.com/y", "/y"},
               {"HTTPS://EXAMPLE.com/y", "/y"},
               {"https://example.com:443/y", "/y"},
               {"https://example.com", "/"},
               {"https://example.com?q", "/?q"},
               {"https://example.com/a/../y", "/y"},
               {"//example.com/y", "/y"},
               {"//example.com//y", "//y"},
               {"https://example.com//example.com//y", "//example.com//y"},
               {"https://example.com//other.com/y", "//other.com/y"},
               {"//", nullptr},
               {"////example.com/y", nullptr},
               {"//other.com/y", nullptr},
               {"http://example.com/y", nullptr},
               {"https://example.com:8443/y", nullptr},
               {"https://other.com/y", nullptr},
               {"https://example.com.other.com/y", nullptr},
               {"https://example.com@other.com/y", nullptr},
               {"mailto:a@b", nullptr},
               {"/d/x?q", nullptr}};
  for (const auto& row : kRows) {
    std::vector<std::string> expected{"/d/x?q"};
    if (row.target) expected.emplace_back(row.target);
    for (const char* name : {"location", "content-location"})
      EXPECT_THAT(invalidated_targets("POST", "https://example.com", "/d/x?q", 201, {{name, row.reference}}),
                  ElementsAreArray(expected))
          << name << ": " << row.reference;
  }
}

TEST(Invalidation, TakesBothLocations) {
  EXPECT_THAT(invalidated_targets("PUT", "http://a:80", "/x", 201, {{"location", "/y"}, {"content-location", "/z"}}),
              ElementsAre("/x", "/y", "/z"));
}

}  // namespace
}  // namespace entrepot::resolver
