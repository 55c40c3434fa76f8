// HTTP/1: the framer, the head, content in chunks, and the session that goes from request to request. What
// two readers of one connection take for different requests smuggles one: however the bytes are cut, the
// requests are the same.
//
// Input: a byte for the size of the pieces, then what a client sends.
#include "proxy/http/http1_content.h"
#include "proxy/http/http1_head.h"
#include "tests/fuzz/session.h"

namespace entrepot::fuzz {
namespace {

using http::Http1Framer;

bool within(std::string_view view, std::string_view text) {
  return view.empty() ||
         (view.data() >= text.data() && view.data() + view.size() <= text.data() + text.size());
}

void check_head(std::string_view text) {
  http::Http1Head head;
  const http::HeadProblem problem = http::read_http1_head(text, head);
  if (problem.status != 0) {
    require(problem.status >= 400 && problem.status < 600 && !problem.detail.empty(), "a refusal says why");
    return;
  }
  require(within(head.method, text) && within(head.authority, text), "views are of the head");
  require(head.target == "/" || head.target == "*" || within(head.target, text), "views are of the head");
  require(head.target.find_first_of("/?*") == 0, "a target is a path, or a query alone");
  for (const auto& [name, value] : head.fields)
    require(within(name, text) && within(value, text) && !name.empty(), "views are of the head");
}

void check_framing(std::string_view input) {
  Http1Framer at_once, by_byte;
  const auto whole = at_once.scan(input);
  auto found = Http1Framer::Found::kMore;
  for (size_t n = 1; n <= input.size() && found == Http1Framer::Found::kMore; ++n)
    found = by_byte.scan(input.substr(0, n));
  require(found == whole, "a head ends where it does, however it comes");
  if (whole != Http1Framer::Found::kWhole) return;
  require(at_once.length() == by_byte.length(), "a head is as long as it is, however it comes");
  const std::string_view head = input.substr(0, at_once.length());
  require(head.ends_with("\r\n"), "a head ends with an empty line");
  check_head(head);
}

// What is read of content in chunks, and where it ends.
std::string content_of(std::string_view input, size_t piece) {
  std::string said;
  http::Http1ContentReader::Sink sink;
  sink.bytes = [&said](std::span<const std::byte> bytes) {
    said.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  sink.trailer = [&said](std::string_view name, std::string_view value) {
    require(!name.empty() && !has_control(name), "a trailer's name is a word");
    said.append("\n").append(name).append(": ").append(value);
  };
  http::Http1ContentReader reader;
  reader.begin(http::Http1Head::kNoLength);
  auto found = http::Http1ContentReader::Found::kMore;
  size_t at = 0;
  for (size_t taken = 0; at < input.size() && found == http::Http1ContentReader::Found::kMore; at += taken) {
    const std::string_view given = input.substr(at, piece);
    found = reader.read(given, sink, taken);
    require(
        taken <= given.size() && (taken == given.size() || found != http::Http1ContentReader::Found::kMore),
        "all is taken, to the end");
  }
  if (found == http::Http1ContentReader::Found::kBad) return "malformed";
  return said.append(found == http::Http1ContentReader::Found::kEnd ? "\nends at " : "\nwaits at ")
      .append(std::to_string(at));
}

std::vector<std::string> requests_of(std::string_view input, size_t piece) {
  Talk talk(http::make_http1_session);
  while (!input.empty()) {
    const size_t n = std::min(piece, input.size());
    if (!talk.hear(input.substr(0, n)) || !talk.answer()) break;
    input.remove_prefix(n);
  }
  talk.end();
  require(talk.output().empty() || talk.output().starts_with("HTTP/1.1 "), "an answer begins as one");
  return talk.requests();
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot::fuzz;
  if (size == 0) return 0;
  const std::string_view input = text_of(data + 1, size - 1);
  check_framing(input);
  require(content_of(input, input.size()) == content_of(input, piece_bytes(data[0])),
          "content is the same, however it comes");
  require(requests_of(input, input.size()) == requests_of(input, piece_bytes(data[0])),
          "requests are the same, however they come");
  return 0;
}
