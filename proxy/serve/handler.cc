#include "proxy/serve/handler.h"

#include "proxy/config/routing.h"
#include "proxy/serve/escaped_variables.h"
#include "proxy/serve/forwarding.h"
#include "proxy/serve/question.h"
#include "proxy/serve/request_variables.h"
#include "proxy/serve/reuse.h"
#include "resolver/freshness.h"

namespace entrepot::serve {

namespace {

constexpr size_t kHotEntries = 200'000;
constexpr size_t kHotBytes = 256ull << 20;
constexpr std::time_t kTouchEverySeconds = 60;

constexpr std::string_view kPathRule =
    "paths: a slash first, no bad percent-encoding, control character or backslash, no \"..\" above the root";
constexpr std::string_view kClimbs = "what would be asked for climbs by a \"..\" that was not asked for";
constexpr std::string_view kSlashRule = "paths: no encoded slash in a repository, but for npm's scopes";

// "/dir" where only "/dir/" is known: find_location answers it then.
bool lacks_last_slash(const config::Location& location, std::string_view path) {
  using Match = config::Location::Match;
  return location.match != Match::kRegex && location.match != Match::kNamed && location.path.size() == path.size() + 1;
}

}  // namespace

Handler::Handler(Tools tools, std::shared_ptr<Site> site)
    : tools_(std::move(tools)), site_(std::move(site)), hot_(kHotEntries, kHotBytes) {}
Handler::~Handler() = default;

void Handler::replace_site(std::shared_ptr<Site> site) {
  hot_.clear();  // what a name stands for may have changed, and who lets whom in
  rights_ = Rights();
  if (site_->requests > 0) old_sites_.push_back(site_);
  site_ = std::move(site);
  authority_.clear();
  server_ = nullptr;
}

void Handler::on_request(http::Stream& stream) noexcept {
  tools_.counters.requests.fetch_add(1, std::memory_order_relaxed);
  stream.site = site_.get();
  ++site_->requests;

  const http::Request& request = stream.request();
  auto path = parse_request_path(request.target);
  const bool has_host = read_host(request);
  const Place* found = site_->find_in(server_of(stream.listener_tag()), path ? path->path() : "/");
  if (!found) return refuse(stream, nullptr, 500, "too-costly", "which location this path is in takes too long to find");
  const Place& place = *found;
  stream.place = found;
  const config::Shared& conf = place.location ? place.location->shared : place.server->shared;
  if (!conf.real_ip_from.empty() && stream.connection()) {
    const http::ConnectionFacts& facts = *stream.connection();
    stream.set_client_address(client_address(request, conf, facts.address, facts.proxied_address));
  }
  if (!has_host) return refuse_host(stream, place);
  if (is_misdirected(stream, place))
    return refuse(stream, &place, 421, "misdirected",
                  "this connection's certificate does not cover the host that is asked for");
  if (!path && !(request.method == http::Method::kOptions && request.target == "*"))
    return refuse_input(stream, place, 400, "malformed", "the request target is not a path that can be resolved",
                        kPathRule);
  if (path && place.location && place.location->internal)
    return refuse(stream, &place, 404, "not-found", "no location serves this path");
  if (refuse_content(stream, place)) return;
  if (request.method != http::Method::kGet && request.method != http::Method::kHead && serve_method(stream, place))
    return;
  serve_at(stream, place, std::move(path));
}

// The request has come to `place`, by itself or by an internal redirect.
void Handler::serve_at(http::Stream& stream, const Place& place, std::optional<RequestPath> path) {
  const http::Request& request = stream.request();
  if (place.logs_sent_fields) stream.keep_sent_fields();
  const bool reads = request.method == http::Method::kGet || request.method == http::Method::kHead;
  if (place.location && lacks_last_slash(*place.location, path->path()))
    return redirect_to_slash(stream, place, path->args);
  if (place.return_) return serve_return(stream, place, *path);
  // A plain location passes every method on; what is stored, and files, are only read.
  const bool passes = place.pass && !place.repository;
  if (!reads && (!passes || request.method == http::Method::kConnect)) {
    const http::Field allow{"allow", allowed_methods(place), false};
    return refuse(stream, &place, 405, "method", "only GET and HEAD are served here", {allow});
  }
  if (path->has_encoded_slash && place.repository &&
      !resolver::takes_encoded_slashes(place.repository->format))
    return refuse_input(stream, place, 400, "encoded-slash", kEncodedSlash, kSlashRule);
  if (place.cdn) {
    if (!take_link(stream, place)) return;
    path = parse_request_path(request.target);
  }
  // What is asked for with credentials is between the client and the upstream, unless the conf says
  // otherwise.
  const bool between_them = place.repository && place.pass && place.authorize == config::Authorize::kNobody &&
                            request.has("authorization");
  // The answer to a GET with content may depend on it, and where the conf asks by another method it is none to a
  // GET: such a one neither is stored, nor is had from the store.
  const bool is_changed = !place.conf->proxy_method.empty() || place.conf->proxy_set_body;
  const bool alone = passes && (!reads || (stream.content() && !stream.was_redirected()) || is_changed);
  const bool shared = place.cache && !between_them && !alone;  // of a plain location what is stored tells whose it is
  const bool may = place.authorize != config::Authorize::kUpstream || stream.came_by_link ||
                   rights_.has(right_of(stream, place, *path), tools_.loop.wall_seconds());
  if (shared) {
    set_name(stream, place, *path);
    if (may && serve_hit(stream, place)) return;  // answered before we return
  }
  const bool loops = (place.pass || place.repository) && is_loop(request, place.loop_element);
  if (loops && !shared) return refuse_loop(stream, place);
  auto asked = std::make_unique<Asked>();
  asked->place = &place;
  asked->loops = loops;
  asked->site = site_of(stream);
  asked->at = tools_.loop.wall_seconds();
  if (place.cache) asked->purges = place.cache->purges();
  asked->path = std::move(*path);
  if (shared && place.repository) {
    asked->hot_key = name_.text;
    asked->hot_hash = cache::name_hash(name_.space, name_.text);
    asked->pins = Pins::of(stream);
    asked->own_target = resolver::upstream_target(place.repository->format,
                                                  config::repository_target(*place.location, request.target));
    return stream.adopt(may ? serve_repository(stream, std::move(asked))
                            : serve_with_right(stream, std::move(asked)));
  }
  if (shared) {
    asked->hot_key = name_.text;
    asked->hot_hash = cache::name_hash(name_.space, name_.text);
    auto target = upstream_target(stream, place, asked->path);
    if (!target) return refuse_input(stream, place, 400, "malformed", kClimbs, kPathRule);
    want(*asked, plain_wanted(asked->path, std::move(*target), name_.text));
    ask_plain(stream, *asked);
    return stream.adopt(serve_cached(stream, std::move(asked)));
  }
  if (place.pass && place.repository) {
    asked->wanted.target = resolver::upstream_target(
        place.repository->format, config::repository_target(*place.location, request.target));
  } else if (place.pass) {
    auto target = upstream_target(stream, place, asked->path);
    if (!target) return refuse_input(stream, place, 400, "malformed", kClimbs, kPathRule);
    asked->wanted.target = std::move(*target);
  }
  if (place.pass) return stream.adopt(serve_pass(stream, std::move(asked), CacheStatus::kBypass));
  if (!place.root.empty()) return stream.adopt(serve_file(stream, std::move(asked)));
  refuse(stream, &place, 404, "not-found", "no location serves this path");
}

// What tells this request's answer from others, into name_: the cache's own name for it, but in a repository,
// where that is known only when the request has been resolved.
void Handler::set_name(const http::Stream& stream, const Place& place, const RequestPath& path) {
  name_.space.assign(place.space);
  name_.text.clear();
  if (place.repository) {  // what it stands for, and what is written into it, is the location's too
    name_.text.append(place.location->path).append("\n").append(place.public_url).append("\n");
    name_.text.append(stream.request().target);
    if (const auto pins = Pins::of(stream)) pins->append_key(place.space, name_.text);
    if (!resolver::varies_by_accept(place.repository->format)) return;
    name_.text.push_back('\n');
    for (const auto& field : stream.request().fields) {
      if (field.name == "accept") name_.text.append(field.value).append(", ");
    }
    return;
  }
  // $request_uri stays what the client asked for: an error's page is not stored under that.
  if (stream.was_redirected()) return append_key(stream, place, path, stream.request().target, name_.text);
  place.conf->proxy_cache_key.expand(RequestVariables(stream, place, path), name_.text);
}

// A hit is a plain function: everything it needs is in this worker's hot table.
bool Handler::serve_hit(http::Stream& stream, const Place& place) {
  const uint64_t hash = cache::name_hash(name_.space, name_.text);
  Hot* hot = hot_.find(hash, name_.text);
  if (!hot) return false;
  if (hot->variants) return serve_variant(stream, place, *hot);
  return serve_hot(stream, place, *hot, hash, name_.text);
}

// Of a name that varies: the variant that this client's fields tell.
bool Handler::serve_variant(http::Stream& stream, const Place& place, const Hot& by_what) {
  if (by_what.generation != by_what.cache->generation(by_what.name_hash)) return false;
  const auto value_of = [&stream](std::string_view name) { return joined_field(stream.request(), name); };
  const std::string key = resolver::variant_name(name_.text, *by_what.variants, value_of);
  const uint64_t hash = cache::name_hash(name_.space, key);
  Hot* hot = hot_.find(hash, key);
  return hot && serve_hot(stream, place, *hot, hash, key);
}

bool Handler::serve_hot(http::Stream& stream, const Place& place, Hot& found, uint64_t hash,
                        const std::string& key) {
  Hot* hot = &found;
  const std::time_t now = tools_.loop.wall_seconds();
  auto blob = hot->blob.lock();
  if (!blob || blob->retired() || now >= hot->fresh_until ||
      now < hot->touched - resolver::kClockStepSeconds ||  // the clock went back: is it fresh?
      hot->generation != hot->cache->generation(hot->name_hash) ||
      (hot->is_resolved && hot->purges != hot->cache->purges())) {
    hot_.erase(hash, key);
    return false;
  }
  if (!place.repository && !serve_plain_hit(stream, place, *hot)) return false;
  if (now - hot->touched >= kTouchEverySeconds) {
    hot->touched = now;
    hot->cache->touch(*blob);
  }
  tools_.counters.hits.fetch_add(1, std::memory_order_relaxed);
  if (place.cdn && hot->lasts && redirect_to_cdn(stream, place, hot->prepared->length_bytes)) return true;
  Content content{hot->prepared, std::move(blob), nullptr, hot->cache, CacheStatus::kHit, hot->pinned_as};
  if (!hot->lasts) content.fresh_until = hot->fresh_until;
  answer(stream, place, content);
  return true;
}

void Handler::serve_return(http::Stream& stream, const Place& place, const RequestPath& path) {
  std::string text;
  place.return_->text.expand(RequestVariables(stream, place, path), text);
  const int status = place.return_->status;
  if (place.return_->text.empty() && status >= 300) {
    if (serve_error_page(stream, place, status)) return;
    stream.told_status = 0;  // an error of its own
  }
  const bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  fields_.clear();
  fields_.push_back({"date", date_text(stream), true});
  if (redirect) fields_.push_back({"location", stream.keep(text), true});
  if (redirect) text.clear();
  const std::string& type = place.conf->default_type;
  if (!text.empty()) fields_.push_back({"content-type", type, false});
  if (status != 204) fields_.push_back({"content-length", stream.keep(std::to_string(text.size())), true});
  add_configured(stream, place, status);
  const std::string_view body = stream.keep(text);
  http::ResponseHead head{status, fields_, body.size()};
  stream.respond(head, std::as_bytes(std::span(body.data(), body.size())), nullptr);
}

void Handler::redirect_to_slash(http::Stream& stream, const Place& place, std::string_view args) {
  std::string target = config::escape(place.location->path);
  if (!args.empty()) target.append("?").append(args);
  fields_.clear();
  fields_.push_back({"date", date_text(stream), true});
  fields_.push_back({"location", stream.keep(target), true});
  fields_.push_back({"content-length", "0", false});
  add_configured(stream, place, 301);
  stream.respond({301, fields_, 0}, std::span<const std::byte>(), nullptr);
}

void Handler::on_close(http::Stream& stream, bool) noexcept {
  Site* site = static_cast<Site*>(stream.site);
  if (const auto* place = static_cast<const Place*>(stream.place); place && !place->logs.empty()) {
    const auto path = parse_request_path(stream.request().target).value_or(RequestPath{});
    const RequestVariables variables(stream, *place, path);
    for (const auto& log : place->logs) {
      log_line_.clear();
      const auto escape = log.format->escape_json   ? EscapedVariables::Escape::kJson
                          : log.format->escape_none ? EscapedVariables::Escape::kNone
                                                    : EscapedVariables::Escape::kDefault;
      log.format->format.expand(EscapedVariables(variables, escape), log_line_);
      log_line_.push_back('\n');
      log.file->append(log_line_);
    }
  }
  if (--site->requests == 0 && site != site_.get()) {
    std::erase_if(old_sites_, [site](const auto& old) { return old.get() == site; });
  }
}

}  // namespace entrepot::serve
