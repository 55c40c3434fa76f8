// Every way through a format's rules: a request's path, and answers of an upstream that says what it likes.
//
// Input: lines with the format, the target, and Accept; then answers, which a line "==" separates: a line
// with status and fields ("200 etag=\"a\" docker-content-digest=sha256:..."), the document behind it. What is
// asked for when there are no more of them is not there.
#include <algorithm>
#include <vector>

#include "resolver/formats/file_url.h"
#include "resolver/members.h"
#include "resolver/resolution.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using namespace resolver;

constexpr int kMaxSteps = 64;  // proxy/serve/question.h

struct Answer {
  int status = 0;
  Fields fields;
  std::string_view document;
};

Answer read_answer(std::string_view text) {
  Answer answer;
  std::string_view words = take_line(text);
  answer.document = text;
  answer.status = static_cast<int>(number_of(words) % 600);
  if (answer.status < 200) answer.status = 0;  // nobody answered
  while (words.find(' ') != words.npos) {
    words.remove_prefix(words.find(' ') + 1);
    const std::string_view word = words.substr(0, words.find(' '));
    const size_t sign = word.find('=');
    // proxy/upstream/head_parser.cc lets no other value through.
    if (sign != word.npos && !has_control(word))
      answer.fields.emplace_back(word.substr(0, sign), word.substr(sign + 1));
  }
  return answer;
}

std::vector<Answer> read_answers(std::string_view text) {
  std::vector<Answer> answers;
  while (!text.empty()) {
    const size_t end = text.find("\n==\n");
    answers.push_back(read_answer(text.substr(0, end)));
    text.remove_prefix(end == text.npos ? text.size() : end + 4);
  }
  return answers;
}

void check_wanted(const Wanted& wanted) {
  if (wanted.only_stored) return;
  require(!wanted.name.empty(), "what is wanted has a name");
  require(!wanted.rule.empty(), "what is wanted is so by a rule");
  require(wanted.url.empty() || is_http_url(wanted.url), "a URL is one");
  require(!wanted.url.empty() || wanted.target.starts_with('/'), "a target begins with a slash");
  require(!has_control(wanted.target) && wanted.target.find(' ') == wanted.target.npos,
          "a target is one word");
  require(!has_control(wanted.accept), "Accept is one line");
  require(!wanted.digest || wanted.digest_source != DigestSource::kNone, "somebody said what digest it has");
  require(wanted.digest || wanted.digest_source == DigestSource::kNone, "who said a digest said which");
}

void check_fields(const Fields& fields) {
  for (const auto& [name, value] : fields)
    require(!name.empty() && !has_control(name) && !has_control(value), "a field is one line");
}

// What can follow from a step that ends.
struct Ending {
  const std::vector<Answer>& answers;

  void operator()(const Serve& serve) const {
    check_wanted(serve.wanted);
    check_fields(serve.extra);
    for (const Wanted& wanted : serve.ahead) check_wanted(wanted);
  }
  void operator()(const Derive& derive) const {
    require(!derive.name.empty() && !derive.sources.empty(), "what is made has a name and sources");
    for (const Wanted& wanted : derive.sources) check_wanted(wanted);
    require(derive.make || derive.checksum, "there is a way to make it");
    std::vector<std::string_view> contents;
    for (size_t i = 0; i < derive.sources.size(); ++i)
      contents.push_back(i < answers.size() ? answers[i].document : std::string_view(""));
    if (derive.make) derive.make(contents);
  }
  void operator()(const Give& give) const {
    require(give.status >= 200 && give.status < 600, "what is given has a status");
    check_fields(give.fields);
  }
  void operator()(const Refuse& refuse) const {
    require(refuse.status >= 400 && refuse.status < 600, "a refusal has a status");
    require(!refuse.error.empty() && !refuse.detail.empty(), "a refusal says why");
  }
  void operator()(const Pass& pass) const { require(!pass.rule.empty(), "what passes does so by a rule"); }
  template <typename Asking>
  void operator()(const Asking&) const {}
};

const Wanted* asked_of(const Step& step) {
  if (const auto* fetch = std::get_if<Fetch>(&step)) return &fetch->wanted;
  if (const auto* probe = std::get_if<Probe>(&step)) return &probe->wanted;
  return nullptr;
}

Found found_of(const Step& step, const Answer& answer) {
  Found found;
  found.status = answer.status;
  found.fields = answer.fields;
  found.whole = answer.status == 200;
  found.fresh = find(answer.fields, "etag").empty();
  if (answer.status != 200) return found;
  if (const auto* fetch = std::get_if<Fetch>(&step)) {
    found.document = fetch->parse(bytes_of(answer.document), find(answer.fields, "content-type"));
    found.content_digest = sha256(bytes_of(answer.document));
  }
  return found;
}

void walk(Resolution& resolution, const std::vector<Answer>& answers) {
  Step step = resolution.advance({});
  for (int i = 0; asked_of(step) || std::holds_alternative<Recall>(step); ++i) {
    require(i < kMaxSteps, "a resolution ends");
    if (const Wanted* wanted = asked_of(step)) check_wanted(*wanted);
    const bool given = static_cast<size_t>(i) < answers.size();
    step = resolution.advance(found_of(step, given ? answers[static_cast<size_t>(i)] : Answer{404, {}, {}}));
  }
  std::visit(Ending{answers}, step);
}

void check_members(Format format, const std::string& path, const Question& question,
                   const std::vector<Answer>& answers) {
  require(!scope_of(format, path).empty(), "a right is for something");
  require(right_question(format, path, question.target).target.starts_with('/'), "a right can be asked for");
  require(route_pattern(format, routed_name(format, path)).size() <= path.size(),
          "a name is a part of its path");
  meant_registry(format, question.target);
  winner_key(format, path);
  if (const auto thing = holder_question(format, path)) check_wanted(*thing);
  const auto merge = merge_of(format, path);
  if (!merge || answers.empty()) return;
  std::vector<std::string_view> contents;
  for (const Answer& answer : answers) contents.push_back(answer.document);
  const auto merged = merge->merge(contents);
  const std::string_view once[] = {merged ? std::string_view(*merged) : std::string_view()};
  require(!merged || merge->merge(once).has_value(), "what is merged can be merged");
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  std::string_view rest = text_of(data, size);
  const auto format = resolver::format_named(take_line(rest));
  resolver::Question question;
  question.target = take_line(rest);
  question.accept = take_line(rest);
  // As the proxy hands them over: read, normal, one word.
  if (!format || !question.target.starts_with('/') || has_control(question.target + question.accept))
    return 0;
  if (climbs(question.target) || question.target.find_first_of(" %") != std::string::npos) return 0;
  question.path = question.target.substr(0, question.target.find('?'));
  question.base = "https://edge.example/r";
  question.upstream = "https://upstream.example";
  const auto answers = read_answers(rest);
  walk(*resolver::resolve(*format, question), answers);
  question.head = question.lasts = true;
  walk(*resolver::resolve(*format, question), answers);
  check_members(*format, question.path, question, answers);
  return 0;
}
