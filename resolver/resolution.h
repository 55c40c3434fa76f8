// Resolution: from what a repository is asked to what answers, step by step. Sans-IO: it knows neither
// sockets nor waiting, so that every way through it is tested from a table.
//
//   auto resolution = resolve(format, question);
//   Step step = resolution->advance({});
//   while it is a Fetch, a Probe or a Recall: find out, then step = resolution->advance(input)
//   the other steps end it: they say what the client is given
//
// A Resolution belongs to one request and one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cache/digest.h"
#include "resolver/format.h"
#include "resolver/stored_response.h"

namespace entrepot::resolver {

// What a client asks of a repository.
struct Question {
  std::string path;      // within the repository: decoded once, normalised, begins with '/'
  std::string target;    // the same as it is to be sent upstream: escaped, with its query
  std::string accept;    // the Accept field, its values joined; empty: none
  std::string base;      // where clients find this repository: "https://edge.example.com/npm"
  std::string upstream;  // where its upstream is: "https://registry.npmjs.org"; neither ends in a slash
  bool head = false;     // only the fields are asked for: what is not stored is not brought in for them
  bool lasts = false;    // the conf says that this never changes; of a sidecar: that its file does not
  bool edge_decides = false;  // who may have what: no client has to show the upstream anything
};

inline constexpr uint64_t kMaxDocumentBytes = 256ull << 20;

// What a document must be of which others are made, or by which they are found. It is judged as a whole when
// all its bytes are there, before it is stored, takes the place of what is stored or is given to anybody: so
// a login page that comes with a 200 costs nobody the list that came before it. Static.
struct Form {
  // What is wrong with it, static text behind "malformed: "; empty: nothing. Null: only its length counts.
  // Called on pool threads.
  std::string_view (*fault_of)(std::span<const std::byte> bytes, std::string_view content_type) = nullptr;
  uint64_t max_bytes =
      kMaxDocumentBytes;  // more is not asked for; where the length is not told, given up there
  std::string_view error = "malformed-index", error_too_long = "index-too-large";  // machine-readable
};

// One answer of an upstream: how the cache knows it, and how it is asked for.
struct Wanted {
  std::string name;    // its text in the repository's space of the cache
  std::string target;  // behind the repository's base; begins with '/'
  std::string url;     // absolute, in place of base and target: a file that an index puts on another host
  std::string accept;  // sent as it stands; empty: nothing is said
  Class cls = Class::kMutable;
  std::optional<Digest> digest;  // what its bytes must have
  DigestSource digest_source = DigestSource::kNone;
  std::optional<uint64_t> length_bytes;  // of them
  std::vector<std::string> vouchers;  // stored documents that said so: asked anew where the bytes are others
  bool only_stored = false;           // nobody can be asked for it: what is stored, or nothing
  bool anew = false;  // the upstream is asked now, however fresh it is; what is stale does not do
  // Why it is of that class: the format, and a fragment of a sentence: "npm: a tarball, by its packument".
  // Static text; so are the rules below.
  std::string_view rule{};
  const Form* form = nullptr;  // what a 200 must be: the same for all that want this name. Null: anything
};

// A document, read: made once for each content by a Parse, on whichever thread; immutable.
using Document = std::shared_ptr<const void>;
// Null: it is malformed.
using Parse = std::function<Document(std::span<const std::byte> bytes, std::string_view content_type)>;
// The content of documents that were asked for, in order; nullopt: one of them is malformed.
using Make = std::function<std::optional<std::string>(std::span<const std::string_view> contents)>;

// -- steps that ask --

// This document, fresh or as fresh as can be had. Answered by `Found`, its `document` made by `parse`.
struct Fetch {
  Wanted wanted;
  std::string kind;  // names the parser: one content is read once for each kind
  Parse parse;
  std::string pinned_as{};  // what a Serve pinned so to the client's connection comes in place of `wanted`
};
// The fields that a HEAD brings, fresh or as fresh as can be had, Content-Length among them. Answered by
// `Found` without a document.
struct Probe {
  Wanted wanted;
};

// What was noted under a name of the repository's space, or is stored there, without a question to anybody.
// Answered by `Found`, its fields the notes, or those of the stored response.
struct Recall {
  std::string name;
};

// -- steps that end --

struct Note {
  std::string name;  // of the list
  std::string key, value;
};
struct Serve {
  Wanted wanted;
  Fields extra{};               // fields that the client gets besides
  std::optional<Note> note{};   // to be recalled by requests to come
  std::vector<Wanted> ahead{};  // what is likely to be asked for next: `prefetch` brings it in
  // What was asked for may be another thing tomorrow, however immutable this one is: a tag, the newest
  // version, an index by its path.
  bool moves = false;
  // However fresh it is, the next request is resolved anew: what was not stored now may be then.
  bool each_time = false;
  // The very content that the client is given, or has and is told to keep (304), is pinned to its connection
  // under this heading, in place of what was: requests to come on it are resolved by that. Empty: it is not.
  std::string pinned_as{};
};
// A document made of others, stored under its own name for as long as they stay what they are.
struct Derive {
  std::string name;
  std::vector<Wanted> sources;  // those that are absent upstream are left out; where all are, so is this
  std::string made_with;        // what it depends on besides: the public base
  std::string content_type;     // empty: that of the first source
  Make make;
  // In place of `make`: the hexadecimal digest of the one source, which may be of any length.
  std::optional<DigestAlgorithm> checksum{};
  std::string_view rule{};
  std::string before{}, after{};  // what stands around that
};
struct Give {
  int status = 200;
  Fields fields;
  std::string body;
  std::string_view rule{};  // empty: that of the document that it was made of
  std::string detail{};     // of an error: one sentence for the log
  bool head = false;        // the fields answer a HEAD: Content-Length stands among them where it is known
};
struct Refuse {
  int status = 404;
  std::string error;        // machine-readable: "not-found"
  std::string detail;       // one sentence that says why
  std::string challenge{};  // the upstream's WWW-Authenticate
};
// Not ours to answer: to the upstream and back, unstored.
struct Pass {
  std::string_view rule{};
};

using Step = std::variant<Fetch, Probe, Recall, Serve, Derive, Give, Refuse, Pass>;

// What came of a step that asks.
struct Found {
  int status = 0;     // 200, 404, ...; 0: nobody answered and nothing is stored
  Fields fields;      // of the answer
  Document document;  // of a Fetch that found one; null with status 200: it is malformed
  std::string trouble;
  std::string_view refused{};  // a document came, and has not the form that is wanted: the Form's word for it
  std::optional<Digest> content_digest{};  // of what a Fetch found
  bool whole = false;  // of a Recall: all bytes of a 200 are stored under that name, and were verified
  bool fresh = false;  // of a Recall: by its own word what is stored is
};
using Input = std::optional<Found>;  // empty: the first call

class Resolution {
 public:
  virtual ~Resolution() = default;
  virtual Step advance(const Input& input) = 0;
};

std::unique_ptr<Resolution> resolve(Format format, const Question& question);

// A Resolution that knows its answer at once.
std::unique_ptr<Resolution> at_once(Step step);
// One that asks once: `then` says what follows from what was found.
std::unique_ptr<Resolution> ask_once(Step question, std::function<Step(const Found&)> then);

// A 502 or the upstream's own absence for a document without which nothing can be said; empty where it was
// found.
std::optional<Step> without(const Found& found, std::string_view what);

// The Cache-Control that an answer of this class carries downstream whatever its upstream said; empty: the
// upstream's own. `for_one_client`: no cache behind us may share it.
std::string_view cache_control_of(Class cls, bool for_one_client = false) noexcept;

// What of a repository a right is for, by the path that is asked: an image, a package, a project; elsewhere,
// and for what is none of these, the path itself.
std::string scope_of(Format format, const std::string& path);

// The target that goes upstream where a request passes unresolved.
std::string upstream_target(Format format, std::string target);

// May a path of this format have an encoded slash? Elsewhere "%2f" is refused: what is one segment here could
// be two to the upstream.
bool takes_encoded_slashes(Format format) noexcept;

// What a client that may have `path` may ask the upstream for, where that has no such path itself: a tarball
// stands behind its packument, a file behind its project's page. `target`: of the request, to be sent
// upstream.
Wanted right_question(Format format, const std::string& path, const std::string& target);

// Does the format's answer depend on the Accept field?
bool varies_by_accept(Format format) noexcept;

std::string_view to_string(Format format) noexcept;                  // "generic", as the conf writes it
std::optional<Format> format_named(std::string_view name) noexcept;  // its inverse
std::string_view format_names() noexcept;                            // "generic, oci, ..."

}  // namespace entrepot::resolver
