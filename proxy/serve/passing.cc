// Passing through: what is not stored goes from the upstream to the client as it comes.
#include <algorithm>

#include "proxy/config/routing.h"
#include "proxy/serve/forwarding.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/pass_body.h"
#include "proxy/serve/pass_upload.h"
#include "proxy/serve/proxy_status.h"
#include "proxy/serve/question.h"
#include "proxy/serve/request_variables.h"
#include "proxy/serve/reuse.h"
#include "resolver/fields.h"
#include "resolver/text.h"

namespace entrepot::serve {

namespace {

// What of a client's request may reach an upstream. Requests are built from these, never copied.
constexpr std::string_view kForStoring[] = {"accept", "accept-language", "user-agent"};
constexpr std::string_view kForPassing[] = {
    "accept",   "accept-encoding",   "accept-language", "authorization", "cache-control",       "cookie",
    "if-match", "if-modified-since", "if-none-match",   "if-range",      "if-unmodified-since", "pragma",
    "range",    "referer",           "user-agent",      "priority"};

// Of one connection, or made anew for the next (RFC 9110 7.6.1). What passes through a plain location is not
// stored: all else of it goes on.
bool is_of_the_connection(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authenticate",
      "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool is_framing(std::string_view name) {
  static constexpr std::string_view kNames[] = {"connection", "content-length", "expect", "te", "trailer",
                                                "transfer-encoding", "upgrade"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [name](std::string_view own) { return resolver::equals_ignoring_case(own, name); });
}

bool lists(const http::Request& request, std::string_view field, std::string_view option) {
  for (const auto& line : request.fields) {
    if (line.name != field) continue;
    std::string_view list = line.value;
    while (!list.empty()) {
      const size_t comma = std::min(list.find(','), list.size());
      std::string_view element = list.substr(0, comma);
      while (element.starts_with(' ') || element.starts_with('\t')) element.remove_prefix(1);
      while (element.ends_with(' ') || element.ends_with('\t')) element.remove_suffix(1);
      if (resolver::equals_ignoring_case(element, option)) return true;
      list.remove_prefix(std::min(comma + 1, list.size()));
    }
  }
  return false;
}

// May it be sent again, though nobody knows whether it was heard?
bool is_idempotent(std::string_view method) {
  return method != "POST" && method != "LOCK" && method != "PATCH";
}

// What a fill says itself, once: a second field of the name would ask for something else.
bool is_the_fills(std::string_view name) {
  static constexpr std::string_view kNames[] = {"accept-encoding", "if-modified-since", "if-none-match",
                                                "if-range", "range"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [name](std::string_view own) { return resolver::equals_ignoring_case(own, name); });
}

// Without the query, which may carry a right.
std::string_view asked_path(std::string_view target) { return target.substr(0, target.find('?')); }

// What lasts is stored as soon as it is asked for, and given in parts, whatever its upstream says of ranges:
// clients find out by a HEAD whether they need not take all of it.
bool is_had_in_parts(const http::Request& request, const resolver::Wanted& wanted, int status) {
  const bool lasts = wanted.cls == resolver::Class::kDigest || wanted.cls == resolver::Class::kVersioned;
  return lasts && status == 200 && request.method == http::Method::kHead;
}

}  // namespace

fill::Origin Handler::origin_of(const http::Stream& stream, const Asked& asked, bool for_cache) const {
  const http::Request& request = stream.request();
  const Place& place = *asked.place;
  fill::Origin origin;
  origin.config = asked.site->config();
  origin.conf = place.conf;
  origin.pass = place.pass;
  origin.path =
      place.repository ? config::behind_base(*place.pass, asked.wanted.target) : asked.wanted.target;
  origin.url = asked.wanted.url;
  origin.repository = place.repository;
  if (place.repository) {
    const auto format = place.repository->format;
    origin.scope = resolver::scope_of(format, config::path_within(*place.location, asked.path.path()));
    origin.takes_tokens =
        format == resolver::Format::kOci && place.authorize != config::Authorize::kUpstream;
  }

  const auto& set = place.conf->proxy_set_headers;
  const auto is_set = [&set](std::string_view name) {
    return std::any_of(set.begin(), set.end(), [name](const auto& header) {
      return resolver::equals_ignoring_case(header.name, name);
    });
  };
  // A host that an index names is shown nothing that is meant for the upstream: neither what the conf sets
  // nor what the client sent.
  const bool at_home = origin.url.empty();
  if (at_home && !is_set("host")) origin.fields.emplace_back("Host", place.pass->host);
  const RequestVariables variables(stream, place, asked.path);
  if (const auto& group = *place.pass->upstream; group.balance == config::Balance::kIpHash) {
    origin.balance_key = stream.remote_address();
  } else {
    group.hash_key.expand(variables, origin.balance_key);
  }
  if (place.conf->proxy_ssl_name) place.conf->proxy_ssl_name->expand(variables, origin.tls_name);
  for (const auto& header : set) {
    if (!at_home || (for_cache && is_the_fills(header.name))) continue;
    if (asked.is_loan && !header.value.is_literal())
      continue;  // what this client sent is not for that upstream
    std::string value;
    header.value.expand(variables, value);
    if (!value.empty() && !is_framing(header.name))
      origin.fields.emplace_back(header.name, std::move(value));
  }
  const auto authorize = place.authorize;
  // A fill of a repository is asked for alike by everybody, but for the credentials of the client it is for.
  const bool alike = place.repository && for_cache;
  const std::span<const std::string_view> allowed =
      for_cache ? std::span<const std::string_view>(kForStoring) : kForPassing;
  const bool passes = !place.repository && !for_cache;
  for (const auto& field : request.fields) {
    if (passes && !place.conf->proxy_pass_request_headers) break;
    // What responses are known to vary by is told, so that the right one comes.
    const auto& counting = asked.variants.names;
    const bool counts = for_cache && fill::can_be_told(field.name) && !is_of_the_way(field.name, *place.conf) &&
                        std::find(counting.begin(), counting.end(), field.name) != counting.end();
    const bool is_allowed = passes ? !is_of_the_connection(field.name) && !is_of_the_way(field.name, *place.conf) &&
                                       !lists(request, "connection", field.name)
                                   : std::find(allowed.begin(), allowed.end(), field.name) != allowed.end();
    if ((!is_allowed && !counts) || is_set(field.name)) continue;
    // Of an error's page all is wanted, whatever the client has of what it asked for.
    if (stream.told_status > 0 && (field.name == "range" || field.name.starts_with("if-"))) continue;
    if (alike || !at_home) continue;
    const bool is_right = field.name == "authorization" || field.name == "cookie";
    if (authorize == config::Authorize::kEdge && is_right) continue;
    const auto hops = field.name == "max-forwards" ? hops_left(request) : std::nullopt;
    if (hops && *hops > 0 && request.method_text == "OPTIONS") {  // RFC 9110 7.6.2
      origin.fields.emplace_back(field.name, std::to_string(*hops - 1));
      continue;
    }
    origin.fields.emplace_back(field.name, field.value);
  }
  if (const auto credentials = request.field("authorization");
      alike && at_home && authorize == config::Authorize::kUpstream && !credentials.empty() &&
      !is_set("authorization"))
    origin.fields.emplace_back("Authorization", credentials);
  // An answer to credentials may say that it is everybody's (RFC 9111 3.5).
  if (for_cache && asked.has_credentials && !is_set("authorization"))
    origin.fields.emplace_back("Authorization", request.field("authorization"));
  if (alike && !(at_home && is_set("user-agent"))) origin.fields.emplace_back("User-Agent", "entrepot");
  if (alike && !asked.wanted.accept.empty()) origin.fields.emplace_back("Accept", asked.wanted.accept);
  // The exact bytes are what is stored.
  if (for_cache) origin.fields.emplace_back("Accept-Encoding", "identity");
  tell_way(stream, place, at_home && !asked.is_loan, origin.fields);
  return origin;
}

// What goes to an upstream on behalf of the way that the request came. `knows_client`: is the client any of that
// upstream's business?
void Handler::tell_way(const http::Stream& stream, const Place& place, bool knows_client,
                       resolver::Fields& fields) {
  const http::Request& request = stream.request();
  const auto is_there = [&fields](std::string_view name) {
    return std::any_of(fields.begin(), fields.end(), [name](const auto& field) {
      return resolver::equals_ignoring_case(field.first, name);
    });
  };
  fields.emplace_back("Via", appended(request, "via", via_element(request.version)));
  fields.emplace_back("CDN-Loop", appended(request, "cdn-loop", place.loop_element));
  if (!knows_client) return;
  for (const std::string_view name : {"traceparent", "tracestate", "early-data"}) {
    if (const auto value = request.field(name); !value.empty() && !is_there(name)) fields.emplace_back(name, value);
  }
  if (place.conf->forwarded == config::Forwarded::kOff) return;
  const bool append = place.conf->forwarded == config::Forwarded::kAppend;
  const auto tell = [&](std::string_view name, std::string_view field, std::string own) {
    if (!is_there(name)) fields.emplace_back(name, append ? appended(request, field, own) : std::move(own));
  };
  const std::string address(stream.remote_address());
  tell("Forwarded", "forwarded", forwarded_element(address, request.authority, request.secure));
  tell("X-Forwarded-For", "x-forwarded-for", address);
  tell("X-Forwarded-Proto", "", request.secure ? "https" : "http");
  tell("X-Forwarded-Host", "", std::string(request.authority));
}

// What a plain location sends besides the head.
void Handler::add_content(http::Stream& stream, const Asked& asked, std::string_view method,
                          fill::Origin& origin) const {
  const config::Shared& conf = *asked.place->conf;
  const http::Request& request = stream.request();
  const auto content = stream.was_redirected() ? nullptr : stream.content();
  if (conf.proxy_set_body) {
    std::string text;
    conf.proxy_set_body->expand(RequestVariables(stream, *asked.place, asked.path), text);
    if (method != "HEAD") origin.upload = std::make_shared<TextUpload>(std::move(text));
  } else if (content && method != "HEAD" && conf.proxy_pass_request_body && content->length() != 0) {
    content->limit(conf.client_max_body_size_bytes, conf.client_body_timeout);
    const bool chunked = content->length() == http::RequestContent::kNoLength || request.has("trailer");
    if (chunked && request.has("trailer")) origin.fields.emplace_back("Trailer", request.field("trailer"));
    origin.upload = std::make_shared<ClientUpload>(content, chunked);
  }
  // RFC 9110 8.6: a method that has content says so where there is none.
  const bool says_length = content || method == "POST" || method == "PUT" || method == "PATCH";
  if (!origin.upload && says_length && method != "HEAD") origin.fields.emplace_back("Content-Length", "0");
  if (lists(request, "te", "trailers")) {
    origin.fields.emplace_back("TE", "trailers");
    origin.fields.emplace_back("Connection", "TE");
  }
  origin.on_interim = [&stream](const upstream::UpstreamHead& head) {
    const auto kept = resolver::end_to_end_fields(head.fields);
    std::vector<http::Field> fields;
    for (const auto& [name, value] : kept) fields.push_back({name, value, true});
    stream.send_interim(head.status, fields);
  };
}

// True: the client's content is at fault, and the answer says so, where somebody waits for one.
bool Handler::refuse_content(http::Stream& stream, const Place& place) {
  using Problem = http::RequestContent::Problem;
  const auto& content = stream.content();
  if (!content || stream.was_redirected()) return false;
  const config::Shared& conf = place.location ? place.location->shared : place.server->shared;
  const uint64_t most = conf.client_max_body_size_bytes;
  const bool told = most > 0 && content->length() != http::RequestContent::kNoLength && content->length() > most;
  const Problem problem = told ? Problem::kTooLarge : content->problem();
  if (problem == Problem::kTooLarge)
    refuse(stream, &place, 413, "too-large", "the content is larger than client_max_body_size allows");
  if (problem == Problem::kTimeout)
    refuse(stream, &place, 408, "timeout", "the content came too slowly");
  if (problem == Problem::kMalformed)
    refuse(stream, &place, 400, "malformed", "the content's framing is malformed");
  return problem != Problem::kNone;
}

// The upstream's own answer to this request; its head is there. Another server is asked only while nothing of
// the content has gone, and, unless the method may be repeated, nothing at all.
io::Task<Handler::Passing> Handler::open_pass(http::Stream& stream, const Asked& asked) {
  const config::Shared& conf = *asked.place->conf;
  fill::Origin origin = origin_of(stream, asked, false);
  std::string method(stream.request().method_text);
  if (!asked.place->repository) {
    if (!conf.proxy_method.empty()) method = conf.proxy_method;
    add_content(stream, asked, method, origin);
  }
  const auto servers = tools_.asking.servers(origin);
  const uint32_t next = conf.proxy_next_upstream;
  const bool may_repeat = is_idempotent(method) || (next & config::kFailingNonIdempotent);
  const size_t most = conf.proxy_next_upstream_tries > 0 ? conf.proxy_next_upstream_tries : servers.size();
  const auto began = io::Clock::now();
  Passing passing;
  stream.upstream_asked = io::Clock::now();
  for (size_t i = 0; i < servers.size(); ++i) {
    fill::ExtraFields none;
    upstream::Exchange exchange =
        co_await tools_.asking.ask(origin, *servers[i], method, std::move(none), kPassBufferBytes);
    Result<const upstream::UpstreamHead*> head = co_await exchange.head();
    const bool unsent = !head && (head.error() == Error::kConnect || head.error() == Error::kTls);
    const uint32_t failing = head ? fill::failing_of_status((*head)->status) : failing_of(head.error());
    passing.exchange.reset();
    if (head) {
      passing.exchange = std::move(exchange);
    } else {
      passing.error = head.error();
      passing.trouble = exchange.detail();
    }
    const auto limit = conf.proxy_next_upstream_timeout;
    const bool over = i + 1 >= most || (limit.count() > 0 && io::Clock::now() - began >= limit);
    if (over || i + 1 == servers.size() || !(failing & next) || !(may_repeat || unsent)) break;
    if (origin.upload && !origin.upload->rewind()) break;
  }
  co_return passing;
}

void Handler::answer_passing(http::Stream& stream, const Asked& asked, Passing passing) {
  if (passing.exchange) return relay(stream, asked, std::move(*passing.exchange), CacheStatus::kMiss);
  refuse_upstream(stream, asked.place, passing.error, passing.trouble);
}

io::Task<void> Handler::serve_pass(http::Stream& stream, std::unique_ptr<Asked> asked, CacheStatus status) {
  tools_.counters.passed.fetch_add(1, std::memory_order_relaxed);
  stream.cache_status = nginx_word(status);
  if (!asked->place->repository && refuse_content(stream, *asked->place)) co_return;
  Passing passing = co_await open_pass(stream, *asked);
  if (passing.exchange) co_return relay(stream, *asked, std::move(*passing.exchange), status);
  if (refuse_content(stream, *asked->place)) co_return;
  refuse_upstream(stream, asked->place, passing.error, passing.trouble);
}

// The head has come: it goes out, the body follows.
void Handler::relay(http::Stream& stream, const Asked& asked, upstream::Exchange exchange,
                    CacheStatus status) {
  const upstream::UpstreamHead& head = exchange.received_head();
  if (head.status >= 300 && asked.place->conf->proxy_intercept_errors) {
    invalidate(stream, head.status, head.fields);
    if (serve_error_page(stream, *asked.place, head.status)) return;
  }
  stream.upstream_note = exchange.address();
  stream.upstream_status = head.status;
  const auto kept = std::make_shared<const resolver::Fields>(head.fields);
  stream.upstream_fields = kept.get();
  stream.cache_status = nginx_word(status);
  uint64_t length = http::ResponseHead::kNoLength;
  fields_.clear();
  const bool in_parts = is_had_in_parts(stream.request(), asked.wanted, head.status);
  if (in_parts) fields_.push_back({"accept-ranges", "bytes", false});
  for (const auto& [name, value] : resolver::end_to_end_fields(head.fields)) {
    if (name == "content-length" || (in_parts && name == "accept-ranges")) continue;
    if (!is_for_client(*asked.place, name)) continue;
    fields_.push_back({stream.keep(name), stream.keep(value), true});
  }
  shape_fields(stream, *asked.place, true);
  resolver::Fields told;  // a Location is one of ours once proxy_redirect has seen it
  for (const auto& field : fields_) {
    if (field.name == "location" || field.name == "content-location") told.emplace_back(field.name, field.value);
  }
  invalidate(stream, head.status, told);
  if (const auto text = head.field("content-length"); !text.empty()) {
    length = std::strtoull(std::string(text).c_str(), nullptr, 10);
    fields_.push_back({"content-length", stream.keep(text), true});
  }
  // RFC 9110 6.6.1: what goes on without a Date gets the time at which it came.
  if (head.field("date").empty()) fields_.push_back({"date", date_text(stream), true});
  if (const auto trailer = head.field("trailer"); !trailer.empty() && length == http::ResponseHead::kNoLength)
    fields_.push_back({"trailer", stream.keep(trailer), true});
  if (status != CacheStatus::kNone) {
    resolver::StoredResponse nothing;  // is stored
    nothing.status = 0;
    const std::string detail = detail_of(asked.wanted, nothing);
    const auto method = stream.request().method;
    const bool by_method = method != http::Method::kGet && method != http::Method::kHead;
    const CacheStatusMembers members{by_method ? "method" : "", head.status, false, {}};
    fields_.push_back({"cache-status", stream.keep(cache_status_text(status, detail, members)), false});
  }
  fields_.push_back({"via", "1.1 entrepot", false});
  const int sent_status = status_for_client(*asked.place, head.status);
  if (sent_status != head.status)
    fields_.push_back({"proxy-status", stream.keep(proxy_status({}, head.status, exchange.address(), {})), true});
  add_configured(stream, *asked.place, sent_status);
  const http::ResponseHead response{sent_status, fields_, length};
  stream.respond(response, std::make_unique<PassBody>(tools_.loop, std::move(exchange)), kept);
}

// A failed upstream: 504 when it was silent for too long, 502 for anything else.
void Handler::refuse_upstream(http::Stream& stream, const Place* place, Error error,
                              const std::string& trouble, std::string_view rule,
                              std::chrono::seconds retry_after) {
  if (place && is_loop(stream.request(), place->loop_element)) return refuse_loop(stream, *place);
  std::string line(asked_path(stream.request().target));
  line.append(": upstream: ").append(trouble);
  if (!rule.empty()) line.append(" (").append(rule).append(")");
  tools_.log_error(std::move(line));
  const int status = error == Error::kTimeout ? 504 : 502;
  const std::string_view why =
      stream.keep(proxy_status(proxy_error_of(error, trouble), 0, stream.upstream_note, trouble));
  if (retry_after.count() == 0)
    return refuse(stream, place, status, to_string(error), trouble, {{"proxy-status", why, true}});
  const std::string_view seconds = stream.keep(std::to_string(retry_after.count()));
  refuse(stream, place, status, to_string(error), trouble,
         {{"proxy-status", why, true}, {"retry-after", seconds, true}});
}

}  // namespace entrepot::serve
