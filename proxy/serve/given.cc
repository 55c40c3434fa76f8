// Answers that are made here: what a resolution gives in words of its own, and what it refuses.
#include <algorithm>

#include "proxy/serve/handler.h"
#include "proxy/serve/question.h"

namespace entrepot::serve {

namespace {

// Without the query, which may carry a right.
std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

// The reason, and the rule where that says more.
std::string reason_of(std::string_view detail, std::string_view rule) {
  if (rule.ends_with(detail)) return std::string(rule);
  std::string reason(detail);
  if (!rule.empty()) reason.append(" (").append(rule).append(")");
  return reason;
}

}  // namespace

// What came is wrong: from an upstream that is an error, from a client no more than news, as in nginx.
void Handler::log_bad_input(const http::Stream& stream, int status, std::string_view detail,
                            std::string_view rule) {
  std::string line(path_of(stream.request().target));
  if (status >= 500) return tools_.log_error(line.append(": ").append(reason_of(detail, rule)));
  if (!tools_.log_info) return;
  line.append(": refused with ").append(std::to_string(status)).append(": ").append(reason_of(detail, rule));
  tools_.log_info(line.append(", client: ").append(stream.remote_address()));
}

// A request that breaks a rule.
void Handler::refuse_input(http::Stream& stream, const Place& place, int status, std::string_view error,
                           std::string_view detail, std::string_view rule) {
  log_bad_input(stream, status, detail, rule);
  refuse(stream, &place, status, error, detail);
}

void Handler::refuse_step(http::Stream& stream, const Asked& asked, const resolver::Refuse& refusal) {
  if (refusal.status == 400 || refusal.status >= 500)
    log_bad_input(stream, refusal.status, refusal.detail, asked.wanted.rule);
  if (refusal.challenge.empty())
    return refuse(stream, asked.place, refusal.status, refusal.error, refusal.detail);
  const http::Field challenge{"www-authenticate", stream.keep(refusal.challenge), true};
  refuse(stream, asked.place, refusal.status, refusal.error, refusal.detail, {challenge});
}

void Handler::serve_given(http::Stream& stream, const Asked& asked, const resolver::Give& give) {
  if (give.status == 400 || give.status >= 500)
    log_bad_input(stream, give.status, give.detail, give.rule.empty() ? asked.wanted.rule : give.rule);
  stream.cache_status = nginx_word(asked.found_by);
  fields_.clear();
  const int status = status_for_client(*asked.place, give.status);
  for (const auto& [name, value] : give.fields) {
    if (is_for_client(*asked.place, name)) fields_.push_back({stream.keep(name), stream.keep(value), true});
  }
  const std::string_view body = stream.keep(give.body);
  if (status != 204 && !give.head)
    fields_.push_back({"content-length", stream.keep(std::to_string(body.size())), true});
  fields_.push_back({"date", date_text(stream), true});
  const std::string_view cls = resolver::to_string(asked.wanted.cls);
  fields_.push_back({"cache-status",
                     asked.found_by == CacheStatus::kNone
                         ? "entrepot; detail=\"made here\""
                         : stream.keep(cache_status_text(asked.found_by, cls)),
                     false});
  add_configured(stream, *asked.place, status);
  const http::ResponseHead head{status, fields_, give.head ? http::ResponseHead::kNoLength : body.size()};
  stream.respond(head, std::as_bytes(std::span(body.data(), body.size())), nullptr);
}

// A HEAD of a document that is made of another does not bring that in: the upstream's own answer to a HEAD
// tells whether it is there. Length, validators and digests are not told: they would be those of what it is
// made of. Empty: it is no HEAD, or what it is made of is stored, or cannot be asked for now.
io::Task<std::optional<resolver::Give>> Handler::head_of_made(http::Stream& stream, Asked& asked,
                                                              const resolver::Derive& derive) {
  const bool asks = stream.request().method == http::Method::kHead && asked.place->pass;
  if (!asks || derive.sources.size() != 1) co_return std::nullopt;
  const Asked source = for_ourselves(asked, derive.sources.front());
  if (!source.barred.empty()) co_return std::nullopt;
  auto look = [cache = asked.place->cache, name = source.name] { return cache->lookup(name); };
  const std::optional<cache::StoredName> stored = co_await tools_.pool.run(tools_.loop, std::move(look));
  const auto response = response_of(stored);
  if (response && stored->blob && usable(stream, source, *stored, *response)) co_return std::nullopt;
  resolver::Wanted question = derive.sources.front();
  question.name.insert(0, "HEAD ");
  const resolver::Found found = co_await find_fields(stream, asked, std::move(question));
  const bool what_is_stored_is_better = asked.found_by == CacheStatus::kStale && is_verified(stored);
  if (is_trouble(found.status) || what_is_stored_is_better) co_return std::nullopt;
  asked.wanted.rule = derive.rule;
  resolver::Give give;
  give.status = found.status;
  give.head = true;
  if (found.status != 200) co_return give;
  const std::string_view type =
      derive.content_type.empty() ? resolver::find(found.fields, "content-type") : derive.content_type;
  if (!type.empty()) give.fields.emplace_back("content-type", type);
  const std::time_t left = std::max<std::time_t>(0, asked.fresh_until - tools_.loop.wall_seconds());
  give.fields.emplace_back("cache-control", "max-age=" + std::to_string(left));
  if (resolver::varies_by_accept(asked.place->repository->format)) give.fields.emplace_back("vary", "accept");
  co_return give;
}

}  // namespace entrepot::serve
