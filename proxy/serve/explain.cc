#include "proxy/serve/explain.h"

#include <algorithm>
#include <utility>

#include "proxy/config/routing.h"
#include "proxy/fill/origin.h"
#include "proxy/serve/explain_stored.h"
#include "proxy/serve/question.h"
#include "proxy/serve/request_variables.h"
#include "proxy/serve/rights.h"
#include "proxy/serve/static_files.h"
#include "proxy/serve/unsent_request.h"
#include "proxy/serve/url_place.h"
#include "proxy/serve/whole_content.h"
#include "proxy/upstream/target.h"
#include "resolver/freshness.h"
#include "resolver/members.h"
#include "resolver/text.h"
#include "resolver/variants.h"

namespace entrepot::serve {

namespace {

using Json = nlohmann::ordered_json;
using resolver::Found;
using resolver::Wanted;

std::string_view match_text(config::Location::Match match) {
  switch (match) {
    case config::Location::Match::kExact:
      return "exact";
    case config::Location::Match::kPrefixStrong:
      return "prefix, ^~";
    default:
      return "prefix";
  }
}

std::string_view authorize_text(config::Authorize authorize) {
  switch (authorize) {
    case config::Authorize::kEdge:
      return "edge";
    case config::Authorize::kUpstream:
      return "upstream";
    default:
      return "nobody";
  }
}

class Explainer {
 public:
  Explainer(const Place& place, Documents& documents, const fill::Standing& standing,
            const upstream::Target& target, RequestPath path, std::string accept, std::time_t now)
      : place_(place),
        documents_(documents),
        standing_(standing),
        target_(target),
        path_(std::move(path)),
        accept_(std::move(accept)),
        now_(now) {}

  Json tell(Json out) {
    out_ = std::move(out);
    tell_place();
    if (place_.return_) {
      answer("answered here with " + std::to_string(place_.return_->status) + ", as \"return\" says");
    } else if (place_.repository && path_.has_encoded_slash &&
               !resolver::takes_encoded_slashes(place_.repository->format)) {
      answer("refused: " + std::string(kEncodedSlash));
    } else if (!place_.members.empty()) {
      tell_members();
    } else if (!place_.pass && !place_.root.empty()) {
      tell_file();
    } else if (!place_.pass) {
      answer("refused: no location serves this path");
    } else if (!place_.cache) {
      pass("no cache", place_.repository ? target_in_repository() : target_of_location());
    } else if (place_.repository) {
      tell_resolution();
    } else {
      tell_plain();
    }
    return std::move(out_);
  }

 private:
  void tell_place() {
    if (const auto* location = place_.location)
      out_["location"] = {{"match", match_text(location->match)}, {"path", location->path}};
    if (const auto* repository = place_.repository) {
      out_["repository"] = {{"name", repository->name},
                            {"kind", kind(*repository)},
                            {"format", resolver::to_string(repository->format)},
                            {"authorize", authorize_text(repository->authorize)}};
      if (repository->proxy_pass) out_["rights"] = rights(*repository);
    }
    if (place_.pass)
      out_["upstream"] =
          (place_.pass->https ? "https://" : "http://") + place_.pass->host +
          (place_.pass->variable_uri ? place_.pass->variable_uri->source() : place_.pass->uri.value_or(""));
  }

  static std::string_view kind(const config::Repository& repository) {
    return repository.proxy_pass ? "remote" : repository.members.empty() ? "local" : "virtual";
  }

  std::string rights(const config::Repository& repository) const {
    if (repository.authorize == config::Authorize::kEdge)
      return "the edge decides: everybody may have it, what a client shows is not looked at";
    if (repository.authorize == config::Authorize::kNobody)
      return "nobody is asked: everybody may have it; a request with Authorization passes by the cache";
    const std::string within = config::path_within(*place_.location, path_.path());
    const Wanted right = resolver::right_question(repository.format, within, target_in_repository());
    return "the upstream decides: a HEAD of " + right.target +
           " with the client's credentials, whose consent is remembered for " +
           std::to_string(Rights::kRememberedSeconds) + " s";
  }

  // What each says that may have it.
  void tell_members() {
    const std::string within = config::path_within(*place_.location, path_.path());
    const auto members = members_for(place_, within, target_.request_target);
    Json& told = out_["members"] = Json::array();
    for (const Place* member : members)
      told.push_back(
          Explainer(*member, documents_, standing_, target_, path_, accept_, now_).tell(Json::object()));
    answer(resolver::merge_of(place_.repository->format, within)
               ? "merged of what all these members have"
               : "the first of these members that has it answers; one that cannot be asked ends the search");
  }

  std::string target_of_location() const {
    return upstream_target(UnsentRequest(target_, accept_), place_, path_).value_or("");
  }
  std::string target_in_repository() const {
    return resolver::upstream_target(place_.repository->format,
                                     config::repository_target(*place_.location, target_.request_target));
  }

  void tell_file() {
    const std::string path = file_below(UnsentRequest(target_, accept_), place_, path_);
    StaticFiles files;
    const bool there = files.open(place_.root, path).file != nullptr;
    out_["file"] = place_.root + path;
    answer(there                                   ? "served from the file"
           : place_.repository && place_.cache     ? "no file is under this path: made of others, or refused"
                                                   : "refused: no file is served under this path");
  }

  void tell_plain() {
    std::string key;
    place_.conf->proxy_cache_key.expand(RequestVariables(UnsentRequest(target_, accept_), place_, path_),
                                        key);
    serve(plain_wanted(path_, target_of_location(), std::move(key)));
  }

  // -- what a resolution asks, answered by what is stored --

  void tell_resolution() {
    const auto question = question_of(place_, path_, target_.request_target, accept_);
    const auto resolution = resolver::resolve(place_.repository->format, question);
    resolver::Input input;
    for (int i = 0; i < kMaxSteps && needed_.empty(); ++i) {
      resolver::Step step = resolution->advance(input);
      if (auto* fetch = std::get_if<resolver::Fetch>(&step)) {
        input = read_document(*fetch);
      } else if (auto* probe = std::get_if<resolver::Probe>(&step)) {
        input = read_fields(probe->wanted);
      } else if (auto* recall = std::get_if<resolver::Recall>(&step)) {
        input = read_notes(recall->name);
      } else {
        return conclude(step);
      }
    }
    tell_class(last_);
    tell_read();
    answer(needed_.empty() ? "refused: the request could not be resolved"
                           : "needs " + needed_ + " from the upstream first");
  }

  void conclude(resolver::Step& step) {
    if (auto* serve_step = std::get_if<resolver::Serve>(&step)) return serve(std::move(serve_step->wanted));
    if (auto* derive = std::get_if<resolver::Derive>(&step)) return tell_derived(*derive);
    if (const auto* give = std::get_if<resolver::Give>(&step)) {
      if (!give->rule.empty()) last_.rule = give->rule;
      tell_class(last_);
      tell_read();
      return answer("answered here with " + std::to_string(give->status));
    }
    if (const auto* refusal = std::get_if<resolver::Refuse>(&step)) {
      tell_class(last_);
      tell_read();
      return answer("refused: " + refusal->detail);
    }
    last_.cls = resolver::Class::kPass;
    last_.rule = std::get<resolver::Pass>(step).rule;
    tell_class(last_);
    tell_read();
    pass("not ours to answer", target_in_repository());
  }

  Known look(const std::string& name) { return look_up(*place_.cache, {place_.space, name}); }

  Json& read(std::string_view kind, const std::string& name, bool stored) {
    return read_.emplace_back(Json{{"kind", kind}, {"name", name}, {"stored", stored}});
  }

  // The stored content of a document, as the Handler would have it; one that is no longer fresh is taken for
  // what it says, and who would be asked about it first is remembered. Status 0: not stored.
  Known read_stored(Wanted& wanted) {
    const std::string barred = place_wanted(place_, wanted);
    last_ = wanted;
    Known known = look(wanted.name);
    const bool right = known.right(wanted), fresh = right && known.fresh(wanted, now_);
    const bool usable = !wanted.anew && (fresh || (right && known.response->status == 200));
    Json& line = read("document", wanted.name, known.whole());
    if (known.whole()) line["status"] = known.response->status;
    if (known.response) line["fresh_until"] = fresh_until(known, wanted, now_);
    if (!barred.empty()) {
      if (!usable) known = {};
      return known;
    }
    if (!usable) needed_ = wanted.name;
    if (usable && !fresh) stale_.push_back(wanted.name);
    return known;
  }

  Found read_document(const resolver::Fetch& fetch) {
    Wanted wanted = fetch.wanted;
    const Known known = read_stored(wanted);
    Found found;
    if (!needed_.empty() || !known.response) return found;
    found.status = known.response->status;
    found.fields = known.response->fields;
    if (found.status != 200) return found;
    const std::string type(resolver::find(found.fields, "content-type"));
    const auto digest = known.stored->blob->digest();
    if (digest) found.document = documents_.find(*digest, fetch.kind + " " + type);
    if (found.document) return found;
    const auto content = read_whole(*known.stored->blob);
    if (content) found.document = fetch.parse(std::as_bytes(std::span(*content)), type);
    if (digest && found.document) documents_.keep(*digest, fetch.kind + " " + type, found.document, content->size());
    return found;
  }

  Found read_fields(const Wanted& wanted) {
    last_ = wanted;
    const Known known = look(wanted.name);
    const bool fresh = known.response && resolver::is_fresh(*known.response, now_);
    Json& line = read("fields", wanted.name, known.response.has_value());
    Found found;
    if (known.response) line["fresh_until"] = fresh_until(known, wanted, now_);
    if (!fresh && (!known.response || known.response->status != 200)) {
      needed_ = wanted.name;
      return found;
    }
    if (!fresh) stale_.push_back(wanted.name);
    found.status = known.response->status;
    found.fields = known.response->fields;
    return found;
  }

  Found read_notes(const std::string& name) {
    const Known known = look(name);
    read("notes", name, known.response.has_value());
    return recalled(known.stored, now_);
  }

  // -- ends --

  void tell_class(const Wanted& wanted) {
    out_["class"] =
        wanted.rule.empty() && place_.repository ? Json(nullptr) : Json(resolver::to_string(wanted.cls));
    if (place_.repository) out_["rule"] = wanted.rule;
  }

  void tell_read() {
    if (!read_.empty()) out_["read"] = std::move(read_);
  }

  void serve(Wanted wanted) {
    const std::string barred = place_wanted(place_, wanted);
    const Known known = look(wanted.name);
    tell_class(wanted);
    out_[place_.repository ? "name" : "key"] = wanted.name;
    out_["digest"] = wanted.digest ? Json(wanted.digest->str()) : Json(nullptr);
    out_["digest_source"] = resolver::to_string(wanted.digest_source);
    tell_read();
    out_["stored"] = stored_json(known, wanted, now_);
    out_["grant"] = grant_json(*place_.cache, place_.space, known, wanted);
    if (known.fill) out_["fill"] = fill_json(*known.fill);
    const size_t servers = tell_asked(wanted);
    if (!barred.empty()) out_["barred"] = barred;
    answer(what_a_get_does(known, wanted, barred, servers > 0));
  }

  std::string what_a_get_does(const Known& known, const Wanted& wanted, const std::string& barred,
                              bool server_is_up) const {
    if (known.fill) return "follows the fill that is running";
    const bool right = known.right(wanted), fresh = known.fresh(wanted, now_);
    const bool served_stale = right && known.response->status == 200 && place_.repository;
    if (right && fresh) return "served from disk" + without_question() + what_it_is(known);
    if (!barred.empty()) return served_stale ? "served from disk, stale: " + barred : "refused: " + barred;
    if (!server_is_up)
      return served_stale ? "served from disk, stale: no server of the upstream group is up"
                          : "refused: no server of the upstream group is up";
    if (right) return "asked upstream whether what is stored is still right, then served";
    if (known.whole())
      return "asked upstream, then stored: the bytes that are stored are not those that are promised";
    if (known.response && known.stored->blob && fresh)
      return "asked upstream for the bytes that are missing, then stored; ranges that are present are "
             "served from disk";
    if (known.response && resolver::variants_of(*known.response))
      return "served where the variant for the request's fields is stored, else asked upstream";
    return "asked upstream, then stored";
  }

  std::string without_question() const { return stale_.empty() ? ", without a question upstream" : ""; }
  static std::string what_it_is(const Known& known) {
    const int status = known.response->status;
    return status == 200 ? "" : ": the upstream's " + std::to_string(status);
  }

  void tell_derived(const resolver::Derive& derive) {
    std::vector<Digest> digests;
    Wanted wanted;
    wanted.name = derive.name;
    wanted.rule = derive.rule;
    for (Wanted source : derive.sources) {
      const Known known = read_stored(source);
      if (!needed_.empty()) break;
      if (const auto digest =
              known.response && known.response->status == 200 ? known.stored->digest : std::nullopt)
        digests.push_back(*digest);
    }
    const Known known = look(wanted.name);
    const bool made = known.whole() && !digests.empty() &&
                      resolver::find(known.response->fields, "etag") == made_from(digests, derive.made_with);
    tell_class(wanted);
    out_["name"] = wanted.name;
    tell_read();
    out_["stored"] = derived_json(known, wanted);
    if (!needed_.empty()) return answer("needs " + needed_ + " from the upstream first");
    tell_asked(last_);
    if (digests.empty()) return answer("refused: the upstream has no such document");
    answer(made ? "served from disk" + without_question() : "made here of what was read, then stored");
  }

  // It is good for as long as what it was made of.
  Json derived_json(const Known& known, const Wanted& wanted) const {
    Json json = stored_json(known, wanted, now_);
    if (json.is_null()) return json;
    for (const char* of_the_sources : {"digest_source", "age", "fresh_until"}) json.erase(of_the_sources);
    json["made_at"] = json["fetched_at"];
    json.erase("fetched_at");
    return json;
  }

  void pass(std::string_view why, std::string target) {
    Wanted wanted;
    wanted.target = std::move(target);
    tell_asked(wanted);
    answer("passed to the upstream and back, unstored: " + std::string(why));
  }

  // Where it would be asked for, in this order. Answers how many there are.
  size_t tell_asked(const Wanted& wanted) {
    fill::Origin origin;
    origin.conf = place_.conf;
    origin.pass = place_.pass;
    origin.path = place_.repository ? config::behind_base(*place_.pass, wanted.target) : wanted.target;
    origin.url = wanted.url;
    Json& asked = out_["asked"] = Json::array();
    const auto servers = fill::servers_in_order(*place_.pass->upstream);
    const std::string subject = fill::subject_of(wanted.digest, {place_.space, wanted.name});
    for (const auto* server : servers) {
      const auto request = fill::make_request(origin, *server, "GET", {});
      std::string line = request.unix_socket.empty() ? request.url : request.url + " at " + server->address;
      const bool may_ask = standing_.may_ask(fill::source_key(origin, *server), subject, io::Clock::now());
      asked.push_back(may_ask ? line : line + ", set aside: what it sent was not this");
      if (!origin.url.empty()) break;
    }
    return servers.size();
  }

  void answer(std::string text) {
    if (!stale_.empty() && needed_.empty()) {
      std::string first = "the upstream is asked first whether ";
      for (size_t i = 0; i < stale_.size(); ++i) first.append(i > 0 ? " and " : "").append(stale_[i]);
      text = first + (stale_.size() > 1 ? " are" : " is") + " still right, then: " + text;
    }
    out_["answer"] = std::move(text);
  }

  const Place& place_;
  Documents& documents_;
  const fill::Standing& standing_;
  const upstream::Target& target_;
  const RequestPath path_;
  const std::string accept_;
  const std::time_t now_;
  Json out_;
  Json read_ = Json::array();       // what the resolution asked for, in order
  Wanted last_;                     // of that, the last document
  std::vector<std::string> stale_;  // names of which the upstream would be asked first
  std::string needed_;              // the name without which nothing further can be said
};

}  // namespace

Explanation explain(const Site& site, Documents& documents, const fill::Standing& standing,
                    std::string_view url, std::string accept, std::time_t now) {
  UrlPlace found = place_of(site, url);
  if (!found.error.empty()) return {std::move(found.error), {}};
  Json out;
  out["url"] = url;
  out["server"] = {{"names", found.place->server->names}, {"listen", site.listen_addresses()[found.listener]}};
  return {"", Explainer(*found.place, documents, standing, *found.target, std::move(found.path), std::move(accept), now)
                  .tell(std::move(out))};
}

}  // namespace entrepot::serve
