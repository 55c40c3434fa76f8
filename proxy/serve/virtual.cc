// A virtual repository: the first member that has what is asked for answers. A member that cannot be asked is
// not one that has nothing: its trouble ends the search. Documents that list what there is are merged.
#include <algorithm>

#include "proxy/config/routing.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/question.h"
#include "resolver/freshness.h"
#include "resolver/members.h"

namespace entrepot::serve {

namespace {

bool is_absence(int status) { return status == 404 || status == 410; }

bool is_absence(const resolver::Step& step) {
  if (const auto* refusal = std::get_if<resolver::Refuse>(&step)) return is_absence(refusal->status);
  const auto* give = std::get_if<resolver::Give>(&step);
  return give && is_absence(give->status);
}

// Where it is remembered who has what is asked for: by its lasting key, or as this request asks for it.
std::string winner_note(const std::string& key, const http::Request& request) {
  if (!key.empty()) return "member that has " + key;
  std::string_view target = request.target;
  for (const std::string_view sidecar : {".sha1", ".md5", ".sha256", ".sha512"}) {  // is of its file's member
    if (target.ends_with(sidecar)) target.remove_suffix(sidecar.size());
  }
  return "member that has now " + std::string(target) + " " + std::string(request.field("accept"));
}

// The member that had it last time is asked first, where that still holds. Does it?
bool move_to_front(std::vector<const Place*>& members, const resolver::Fields& winner, std::time_t now) {
  const std::string until(resolver::find(winner, "until"));
  if (std::strtoll(until.c_str(), nullptr, 10) <= now) return false;
  const auto known = std::find_if(members.begin(), members.end(), [&winner](const Place* member) {
    return resolver::find(winner, "member") == member->repository->name;
  });
  if (known == members.end()) return false;
  std::rotate(members.begin(), known, known + 1);
  return true;
}

// One member's document among those that are merged.
struct Part {
  resolver::Derive derive;
  std::string member;
  size_t sources;  // of the blobs, those that are its
};

// What a member serves as it stands is derived by leaving it as it is. Empty: the step is no document.
std::optional<resolver::Derive> derive_of(resolver::Step& step) {
  if (auto* derive = std::get_if<resolver::Derive>(&step)) return std::move(*derive);
  auto* serve = std::get_if<resolver::Serve>(&step);
  if (!serve) return std::nullopt;
  resolver::Derive derive;
  derive.name = serve->wanted.name;
  derive.rule = serve->wanted.rule;
  derive.sources.push_back(std::move(serve->wanted));
  derive.make = [](std::span<const std::string_view> contents) { return std::optional<std::string>(contents[0]); };
  return derive;
}

std::optional<std::string> make_merged(const std::vector<Part>& parts, const resolver::Merge& merge,
                                       const Blobs& blobs) {
  const auto merged = [&merge](const std::vector<std::string>& contents) {
    if (contents.size() == 1) return std::optional(contents[0]);
    const std::vector<std::string_view> views(contents.begin(), contents.end());
    return merge.merge(views);
  };
  if (merge.of == resolver::Merge::Of::kContents) {
    const auto contents = read_all(blobs);
    const auto whole = contents ? merged(*contents) : std::nullopt;
    return whole ? make_content(parts.front().derive, *whole) : std::nullopt;
  }
  std::vector<std::string> contents;
  auto next = blobs.begin();
  for (const Part& part : parts) {
    auto content = make_content(part.derive, Blobs(next, next + static_cast<ptrdiff_t>(part.sources)));
    if (!content) return std::nullopt;
    contents.push_back(std::move(*content));
    next += static_cast<ptrdiff_t>(part.sources);
  }
  return merged(contents);
}

}  // namespace

io::Task<void> Handler::serve_virtual(http::Stream& stream, std::unique_ptr<Asked> asked) {
  const Place& place = *asked->place;
  const auto format = place.repository->format;
  const std::string path = config::path_within(*place.location, asked->path.path());
  std::vector<const Place*> members = members_for(place, path, stream.request().target);
  if (const auto merge = resolver::merge_of(format, path)) {
    co_await serve_merged(stream, std::move(asked), std::move(members), *merge);
    co_return;
  }
  std::string note = winner_note(resolver::winner_key(format, path), stream.request());
  const resolver::Found winner = co_await recall_notes(*asked, note);
  const bool is_known = move_to_front(members, winner.fields, tools_.loop.wall_seconds());
  if (auto thing = resolver::holder_question(format, path); thing && !is_known) {
    const bool may_go_on = co_await ask_holder(stream, *asked, members, std::move(*thing));
    if (!may_go_on) co_return;
  }
  for (const Place* member : members) asked->siblings.push_back(member->repository);
  resolver::Step absence = resolver::Refuse{404, "not-found", "no member has it"};
  for (const Place* member : members) {
    auto own = std::make_unique<Asked>(*asked);
    own->place = member;
    if (member->cache) own->purges = member->cache->purges();
    resolver::Step step = co_await resolve(stream, *own, question_for(stream, *own));
    if (is_absence(step)) {
      absence = std::move(step);
      continue;
    }
    std::string own_note = is_known && member == members.front() ? "" : note;  // it stands there already
    const bool served = co_await serve_member(stream, *asked, std::move(own), std::move(step), std::move(own_note));
    if (served) co_return;
  }
  co_await conclude(stream, std::move(asked), std::move(absence));
}

// The member that has `thing` is asked first for what hangs on it. False: one before it cannot say whether it
// has it, and the request is answered so.
io::Task<bool> Handler::ask_holder(http::Stream& stream, const Asked& asked, std::vector<const Place*>& members,
                                   resolver::Wanted thing) {
  for (auto member = members.begin(); member != members.end(); ++member) {
    Asked own = asked;
    own.place = *member;
    const resolver::Found found = co_await find_fields(stream, own, thing);
    if (is_absence(found.status)) continue;
    if (found.status == 200) {
      std::rotate(members.begin(), member, member + 1);
      co_return true;
    }
    const std::string trouble =
        found.status == 0 ? found.trouble : "the upstream answered " + std::to_string(found.status);
    refuse_upstream(stream, own.place, Error::kBadStatus, "who has it is not known: " + trouble, thing.rule);
    co_return false;
  }
  co_return true;
}

// False: this member does not have it. `note`: where it is to be remembered that it has; empty: nowhere.
io::Task<bool> Handler::serve_member(http::Stream& stream, const Asked& whole, std::unique_ptr<Asked> asked,
                                     resolver::Step step, std::string note) {
  if (auto* derive = std::get_if<resolver::Derive>(&step)) {
    const std::optional<resolver::Give> head = co_await head_of_made(stream, *asked, *derive);
    if (head && is_absence(head->status)) co_return false;
    if (head) {
      serve_given(stream, *asked, *head);
      co_return true;
    }
    Sources sources = co_await find_sources(stream, *asked, std::move(derive->sources));
    if (sources.blobs.empty() && is_absence(sources.first.status)) co_return false;
    co_await serve_from(stream, std::move(asked), std::move(sources), std::move(*derive));
    co_return true;
  }
  if (std::holds_alternative<resolver::Pass>(step)) {
    // Where names are routed, what has none cannot be.
    if (!asked->place->pass || !whole.place->repository->routes.empty()) co_return false;
    asked->wanted.target = asked->own_target;
    Passing passing = co_await open_pass(stream, *asked);
    if (passing.exchange && is_absence(passing.exchange->received_head().status)) co_return false;
    answer_passing(stream, *asked, std::move(passing));
    co_return true;
  }
  auto* serve = std::get_if<resolver::Serve>(&step);
  if (!serve) {
    co_await conclude(stream, std::move(asked), std::move(step));
    co_return true;
  }
  co_await begin(stream, *asked, *serve);
  Outcome outcome = co_await find(stream, *asked);
  const bool passes = outcome.kind == Outcome::Kind::kHead ||
                      (outcome.kind == Outcome::Kind::kPassed && !outcome.exchange);
  Passing passing;
  if (passes) passing = co_await open_pass(stream, *asked);
  const int status = passing.exchange ? passing.exchange->received_head().status : status_of(outcome);
  if (is_absence(status)) co_return false;
  if (status == 200 && !passes && !note.empty()) remember_winner(whole, *asked, outcome, std::move(note));
  if (passes && outcome.stored && is_trouble(status)) {  // what is stale does
    outcome.kind = Outcome::Kind::kStored;
    serve_stored(stream, *asked, outcome);
  } else if (passes) {
    answer_passing(stream, *asked, std::move(passing));
  } else {
    co_await serve_outcome(stream, std::move(asked), std::move(outcome));
  }
  co_return true;
}

// For good, or for as long as its answer is fresh.
void Handler::remember_winner(const Asked& whole, const Asked& asked, const Outcome& outcome, std::string note) {
  auto response = outcome.response ? outcome.response : resolver::StoredResponse::decode(outcome.metadata);
  if (!response) return;
  const std::time_t now = tools_.loop.wall_seconds();
  const std::time_t fresh_until = std::min<std::time_t>(
      asked.fresh_until, now + resolver::freshness_lifetime(*response) - resolver::current_age(*response, now));
  const std::time_t until = lasts(asked.wanted.cls, *response) ? std::numeric_limits<std::time_t>::max() : fresh_until;
  if (until <= now) return;
  resolver::StoredResponse record;
  record.fields = {{"member", asked.place->repository->name},
                   {"until", std::to_string(until)}};
  whole.place->cache->put_response({whole.place->space, std::move(note)}, record.encode(), std::nullopt);
}

// What there is of it, of all members that have some; an answer of one that is no document is the answer.
io::Task<void> Handler::serve_merged(http::Stream& stream, std::unique_ptr<Asked> asked,
                                     std::vector<const Place*> members, resolver::Merge merge) {
  std::vector<Part> parts;
  Sources all;
  for (const Place* member : members) {
    auto own = std::make_unique<Asked>(*asked);
    own->place = member;
    if (member->cache) own->purges = member->cache->purges();
    resolver::Question question = question_for(stream, *own);
    if (!merge.any_accept) question.accept.clear();
    resolver::Step step = co_await resolve(stream, *own, std::move(question));
    if (is_absence(step)) continue;
    std::optional<resolver::Derive> derive = derive_of(step);
    if (!derive) {
      co_await conclude(stream, std::move(own), std::move(step));
      co_return;
    }
    Sources sources = co_await find_sources(stream, *own, std::move(derive->sources));
    asked->fresh_until = std::min(asked->fresh_until, own->fresh_until);
    if (sources.blobs.empty() && is_absence(sources.first.status)) continue;
    if (sources.blobs.empty()) co_return refuse_sources(stream, *own, sources.first);
    parts.push_back({std::move(*derive), member->repository->name, sources.blobs.size()});
    if (all.blobs.empty()) all.first = std::move(sources.first);
    all.blobs.insert(all.blobs.end(), sources.blobs.begin(), sources.blobs.end());
    all.digests.insert(all.digests.end(), sources.digests.begin(), sources.digests.end());
  }
  if (parts.empty()) co_return refuse(stream, asked->place, 404, "not-found", "no member has it");
  Made made{"merged " + parts.front().derive.name, "", parts.front().derive.content_type, {}, parts.front().derive.rule};
  for (const Part& part : parts) made.made_with += part.derive.made_with + " " + part.member + "\n";
  made.make = [parts = std::move(parts), merge](const Blobs& blobs) { return make_merged(parts, merge, blobs); };
  co_await serve_made(stream, std::move(asked), std::move(all), std::move(made));
}

}  // namespace entrepot::serve
