// HTTP/2: any frames, cut anywhere. What is answered is frames as they should be, and of no more than what
// the limits leave.
//
// Input: a byte for the size of the pieces, then what a client sends behind the preface and its SETTINGS.
#include "tests/fuzz/session.h"

namespace entrepot::fuzz {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);
constexpr size_t kHeadBytes = 9, kMaxFrameBytes = 16384;
constexpr size_t kGoaway = 7, kCodeAt = kHeadBytes + 7, kEnhanceYourCalm = 11;

// Every frame is whole and of a size that the peer has to take. True: the last word was to calm down.
bool check_frames(std::string_view output) {
  bool calmed = false;
  const auto byte = [&output](size_t i) { return size_t{static_cast<uint8_t>(output[i])}; };
  while (!output.empty()) {
    require(output.size() >= kHeadBytes, "a frame has a head");
    const size_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
    require(length <= kMaxFrameBytes && output.size() - kHeadBytes >= length, "a frame is whole");
    calmed = byte(3) == kGoaway && byte(kCodeAt) == kEnhanceYourCalm;
    output.remove_prefix(kHeadBytes + length);
  }
  return calmed;
}

enum class Answers : uint8_t { kAtTheEnd, kBetween };

// Empty: the session gave up before the end. nghttp2 1.52 does so where the head of a CONTINUATION comes in
// many pieces, for it counts each.
std::optional<std::vector<std::string>> requests_of(std::string_view input, size_t piece, Answers answers) {
  Talk talk(http::make_http2_session);
  bool good = talk.hear(std::string(kPreface).append(kSettings)) && talk.answer();
  while (good && !input.empty()) {
    const size_t n = std::min(piece, input.size());
    good = talk.hear(input.substr(0, n)) && (answers == Answers::kAtTheEnd || talk.answer());
    input.remove_prefix(n);
  }
  talk.answer();
  const bool calmed = check_frames(talk.output());
  return good && !calmed ? std::optional(talk.requests()) : std::nullopt;
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot::fuzz;
  if (size == 0) return 0;
  const std::string_view input = text_of(data + 1, size - 1);
  const auto whole = requests_of(input, input.size(), Answers::kAtTheEnd);
  const auto pieces = requests_of(input, piece_bytes(data[0]), Answers::kAtTheEnd);
  require(!whole || !pieces || whole == pieces, "requests are the same, however they come");
  requests_of(input, piece_bytes(data[0]), Answers::kBetween);
  return 0;
}
