#include "proxy/http/frame_heads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace entrepot::http {
namespace {

using testing::ElementsAre;
using namespace std::string_literals;

std::string frame(uint8_t type, uint8_t flags, uint32_t id, const std::string& payload) {
  std::string out;
  for (const int shift : {16, 8, 0}) out.push_back(static_cast<char>(payload.size() >> shift));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) out.push_back(static_cast<char>(id >> shift));
  return out + payload;
}

std::vector<std::string> heads_of(const std::string& bytes, size_t piece, size_t skip) {
  FrameHeads heads(skip);
  std::vector<std::string> found;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const std::string part = bytes.substr(at, piece);
    heads.read(std::as_bytes(std::span(part)), [&](const FrameHead& head) {
      found.push_back(std::to_string(head.type) + " " + std::to_string(head.flags) + " " +
                      std::to_string(head.stream_id) + " " + std::to_string(head.length_bytes));
    });
  }
  return found;
}

TEST(FrameHeads, AreFoundHoweverTheBytesArrive) {
  const std::string bytes = "preface" + frame(4, 0, 0, "") + frame(0, 1, 0x01020305, std::string(70'000, '\0')) +
                            frame(1, 0xff, 0xffffffff, "abc") + frame(8, 0, 3, "1234");
  for (const size_t piece : {1u, 2u, 7u, 8u, 9u, 10u, 1000u, 100'000u})
    EXPECT_THAT(heads_of(bytes, piece, 7), ElementsAre("4 0 0 0", "0 1 16909061 70000", "1 255 2147483647 3", "8 0 3 4"))
        << piece;
}

TEST(FrameHeads, OneThatHasNotComeWholeIsNotTold) {
  const std::string bytes = frame(0, 0, 1, "x") + frame(0, 1, 1, "").substr(0, 8);
  EXPECT_THAT(heads_of(bytes, 100, 0), ElementsAre("0 0 1 1"));
}

}  // namespace
}  // namespace entrepot::http
