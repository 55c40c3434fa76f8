// HTTP/1: the framer, the head, and the session that goes from request to request. What two readers of one
// connection take for different requests smuggles one: however the bytes are cut, the requests are the same.
//
// Input: a byte for the size of the pieces, then what a client sends.
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
  require(requests_of(input, input.size()) == requests_of(input, piece_bytes(data[0])),
          "requests are the same, however they come");
  return 0;
}
