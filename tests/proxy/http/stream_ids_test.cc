#include "proxy/http/stream_ids.h"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

namespace entrepot::http {
namespace {

constexpr int32_t kHighestId = INT32_MAX;

// HEADERS that nghttp2 takes for a request.
void open(StreamIds& ids, int32_t id) {
  ASSERT_EQ(ids.on_headers(id), static_cast<uint32_t>(NGHTTP2_NO_ERROR)) << id;
  ids.on_opened(id);
}

TEST(StreamIds, HeadersOfAClosedStreamEndTheConnection) {
  StreamIds ids;
  open(ids, 1);
  open(ids, 3);
  EXPECT_EQ(ids.on_headers(1), static_cast<uint32_t>(NGHTTP2_STREAM_CLOSED));
  EXPECT_EQ(ids.on_headers(3), static_cast<uint32_t>(NGHTTP2_STREAM_CLOSED));
}

TEST(StreamIds, HeadersOfAStreamThatWasPassedOverEndTheConnection) {
  StreamIds ids;
  open(ids, 5);
  EXPECT_EQ(ids.on_headers(1), static_cast<uint32_t>(NGHTTP2_PROTOCOL_ERROR));
  EXPECT_EQ(ids.on_headers(3), static_cast<uint32_t>(NGHTTP2_PROTOCOL_ERROR));
  EXPECT_EQ(ids.on_headers(5), static_cast<uint32_t>(NGHTTP2_STREAM_CLOSED));
}

TEST(StreamIds, WhatWasOnItsWayWhenWeResetIsNoError) {
  StreamIds ids;
  open(ids, 1);
  ids.on_reset(1);
  EXPECT_EQ(ids.on_headers(1), static_cast<uint32_t>(NGHTTP2_NO_ERROR));
}

TEST(StreamIds, AStreamThatWasRefusedMayStillSendItsTrailers) {
  StreamIds ids;
  EXPECT_EQ(ids.on_headers(1), static_cast<uint32_t>(NGHTTP2_NO_ERROR));  // and nobody opens it
  EXPECT_EQ(ids.on_headers(1), static_cast<uint32_t>(NGHTTP2_NO_ERROR));
}

TEST(StreamIds, AStreamIsOverThatThePeerHasEndedOrPassedOver) {
  StreamIds ids;
  open(ids, 3);
  EXPECT_TRUE(ids.is_over(1)) << "passed over";
  EXPECT_FALSE(ids.is_over(3)) << "the peer may go on";
  EXPECT_FALSE(ids.is_over(5)) << "idle";
  ids.on_ended(3);
  EXPECT_TRUE(ids.is_over(3));
  ids.on_ended(5);
  open(ids, 5);
  EXPECT_FALSE(ids.is_over(5));
  for (int32_t id = 7; id < 1000; id += 2) open(ids, id);
  EXPECT_FALSE(ids.is_over(3)) << "nothing is said of what is forgotten";
  EXPECT_FALSE(ids.is_over(2)) << "nor of what is no client's";
}

TEST(StreamIds, NothingIsSaidOfWhatIsForgotten) {
  StreamIds ids;
  for (int32_t id = 1; id < 1000; id += 2) open(ids, id);
  EXPECT_EQ(ids.on_headers(1), static_cast<uint32_t>(NGHTTP2_NO_ERROR));
  EXPECT_EQ(ids.on_headers(999), static_cast<uint32_t>(NGHTTP2_STREAM_CLOSED));
  ids.on_reset(1);
  EXPECT_EQ(ids.on_headers(513), static_cast<uint32_t>(NGHTTP2_STREAM_CLOSED));
}

TEST(StreamIds, TheHighestIdPassesOverAllOthers) {
  StreamIds ids;
  open(ids, 1);
  open(ids, kHighestId);
  EXPECT_EQ(ids.on_headers(kHighestId - 2), static_cast<uint32_t>(NGHTTP2_PROTOCOL_ERROR));
  EXPECT_EQ(ids.on_headers(kHighestId), static_cast<uint32_t>(NGHTTP2_STREAM_CLOSED));
}

TEST(StreamIds, EvenIdsAreAnothersAffair) {
  StreamIds ids;
  open(ids, 5);
  EXPECT_EQ(ids.on_headers(2), static_cast<uint32_t>(NGHTTP2_NO_ERROR));
  EXPECT_EQ(ids.on_headers(0), static_cast<uint32_t>(NGHTTP2_NO_ERROR));
}

}  // namespace
}  // namespace entrepot::http
