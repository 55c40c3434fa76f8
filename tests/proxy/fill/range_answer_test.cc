#include "proxy/fill/range_answer.h"

#include <gtest/gtest.h>

namespace entrepot::fill {
namespace {

using upstream::UpstreamHead;
using Fields = std::vector<std::pair<std::string, std::string>>;

UpstreamHead head(int status, Fields fields) {
  UpstreamHead h;
  h.status = status;
  h.fields = std::move(fields);
  return h;
}

UpstreamHead part(const std::string& range, const std::string& etag = "\"v1\"") {
  Fields fields{{"content-range", range}};
  if (!etag.empty()) fields.emplace_back("etag", etag);
  return head(206, fields);
}

const Part kAsked{100, 200, 0};

TEST(RangeAnswer, PartAsAskedWithStrongValidatorIsASlice) {
  const Judged judged = judge(kAsked, {}, part("bytes 100-199/1000"));
  EXPECT_EQ(judged.answer, RangeAnswer::kPart);
  EXPECT_EQ(judged.begin, 100u);
  EXPECT_EQ(judged.end, 200u);
  EXPECT_EQ(judged.length_bytes, 1000u);
}

TEST(RangeAnswer, ShorterPartFromTheSameStartIsASlice) {
  EXPECT_EQ(judge(kAsked, {}, part("bytes 100-149/1000")).answer, RangeAnswer::kPart);
}

TEST(RangeAnswer, WholeToARangeIsTheWhole) {
  const Judged judged = judge(kAsked, {}, head(200, {{"content-length", "1000"}, {"etag", "\"v1\""}}));
  EXPECT_EQ(judged.answer, RangeAnswer::kWhole);
  EXPECT_EQ(judged.begin, 0u);
  EXPECT_EQ(judged.end, 1000u);
}

TEST(RangeAnswer, WithoutStrongValidatorAndDigestPartsAreNotCombined) {
  EXPECT_EQ(judge(kAsked, {}, part("bytes 100-199/1000", "")).answer, RangeAnswer::kNotCombinable);
  EXPECT_EQ(judge(kAsked, {}, part("bytes 100-199/1000", "W/\"v1\"")).answer, RangeAnswer::kNotCombinable);
}

TEST(RangeAnswer, KnownDigestMakesPartsCombinable) {
  Pinned pinned;
  pinned.digest_known = true;
  EXPECT_EQ(judge(kAsked, pinned, part("bytes 100-199/1000", "")).answer, RangeAnswer::kPart);
}

TEST(RangeAnswer, WrongStartTotalCodingOrMultipartIsNothingToUse) {
  EXPECT_EQ(judge(kAsked, {}, part("bytes 0-99/1000")).answer, RangeAnswer::kWrong);
  EXPECT_EQ(judge(kAsked, {}, part("bytes 100-299/1000")).answer, RangeAnswer::kWrong);
  EXPECT_EQ(judge(kAsked, {}, part("bytes 100-199/*")).answer, RangeAnswer::kWrong);
  EXPECT_EQ(judge(kAsked, {}, part("nonsense")).answer, RangeAnswer::kWrong);
  EXPECT_EQ(judge(kAsked, {}, head(206, {{"etag", "\"v1\""}})).answer, RangeAnswer::kWrong);
  EXPECT_EQ(judge(kAsked, {"\"v1\"", 999, false}, part("bytes 100-199/1000")).answer, RangeAnswer::kWrong);
  EXPECT_EQ(
      judge(kAsked, {},
            head(206,
                 {{"content-range", "bytes 100-199/1000"}, {"etag", "\"v1\""}, {"content-encoding", "gzip"}}))
          .answer,
      RangeAnswer::kWrong);
  EXPECT_EQ(
      judge(kAsked, {}, head(206, {{"content-type", "multipart/byteranges; boundary=x"}, {"etag", "\"v1\""}}))
          .answer,
      RangeAnswer::kWrong);
  EXPECT_EQ(
      judge(kAsked, {},
            head(206, {{"content-range", "bytes 100-199/1000"}, {"etag", "\"v1\""}, {"content-length", "5"}}))
          .answer,
      RangeAnswer::kWrong);
}

TEST(RangeAnswer, AnotherValidatorThanThePinnedOneIsAChange) {
  const Pinned pinned{"\"v1\"", 1000, false};
  EXPECT_EQ(judge(kAsked, pinned, part("bytes 100-199/1000", "\"v2\"")).answer, RangeAnswer::kChanged);
  EXPECT_EQ(judge(kAsked, pinned, part("bytes 100-199/1000", "")).answer, RangeAnswer::kChanged);
  EXPECT_EQ(judge(kAsked, pinned, head(200, {{"content-length", "1000"}, {"etag", "\"v2\""}})).answer,
            RangeAnswer::kChanged);
  EXPECT_EQ(judge(kAsked, pinned, head(200, {{"content-length", "1001"}, {"etag", "\"v1\""}})).answer,
            RangeAnswer::kChanged);
}

TEST(RangeAnswer, SuffixMustReachTheEnd) {
  const Part suffix{0, 0, 50};
  const Judged judged = judge(suffix, {}, part("bytes 950-999/1000"));
  EXPECT_EQ(judged.answer, RangeAnswer::kPart);
  EXPECT_EQ(judged.begin, 950u);
  EXPECT_EQ(judge(suffix, {}, part("bytes 900-949/1000")).answer, RangeAnswer::kWrong);
}

TEST(RangeAnswer, UnsatisfiableTellsTheLengthWhereTheUpstreamDid) {
  EXPECT_EQ(judge(kAsked, {}, head(416, {{"content-range", "bytes */50"}})).length_bytes, 50u);
  EXPECT_EQ(judge(kAsked, {}, head(416, {})).length_bytes, cache::kUnknownLength);
}

TEST(RangeAnswer, RangeFieldIsWrittenAsRfc9110Says) {
  EXPECT_EQ((Part{0, 4194304, 0}.range_field()), "bytes=0-4194303");
  EXPECT_EQ((Part{5, cache::kUnknownLength, 0}.range_field()), "bytes=5-");
  EXPECT_EQ((Part{0, 0, 100}.range_field()), "bytes=-100");
}

}  // namespace
}  // namespace entrepot::fill
