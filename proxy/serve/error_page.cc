// error_page: an error is answered by another location, or by a redirect.
#include <algorithm>

#include "proxy/http/request_content.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/request_variables.h"

namespace entrepot::serve {

namespace {

constexpr int kMaxRedirects = 10;  // nginx's

const config::Shared& own_conf(const Place& place) {
  return place.location ? place.location->shared : place.server->shared;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

// The conf that the request began with, although another may be in force by now.
std::shared_ptr<Site> Handler::site_of(const http::Stream& stream) const {
  const auto is_it = [&stream](const auto& site) { return site.get() == stream.site; };
  const auto old = std::find_if(old_sites_.begin(), old_sites_.end(), is_it);
  return old == old_sites_.end() ? site_ : *old;
}

// True: the request has gone where the place's error_page says, and is answered there. The caller is done.
bool Handler::serve_error_page(http::Stream& stream, const Place& place, int status) {
  const config::Shared& conf = own_conf(place);
  if (conf.error_pages.empty() || stream.responded()) return false;
  if (stream.redirects > 0 && !conf.recursive_error_pages) return false;
  const auto page = std::find_if(conf.error_pages.begin(), conf.error_pages.end(), [status](const auto& it) {
    return std::find(it.statuses.begin(), it.statuses.end(), status) != it.statuses.end();
  });
  if (page == conf.error_pages.end()) return false;
  // A named location gets the request as it came: not one that is passed to nobody, nor what is left of a content.
  const http::Request& request = stream.request();
  const bool is_begun = stream.content() && stream.content()->consumed_bytes() > 0;
  const bool is_for_nobody = request.method_text == "TRACE" || request.method == http::Method::kConnect ||
                             !parse_request_path(request.target) || !read_host(request);
  if ((is_begun || is_for_nobody) && page->target.source().starts_with('@')) return false;
  if (stream.redirects == kMaxRedirects) {
    tools_.log_error(std::string(stream.sent_target()) + ": error_page: internal redirection cycle");
    return false;
  }
  ++stream.redirects;
  redirect_by_error_page(stream, place, *page, status);
  return true;
}

void Handler::redirect_by_error_page(http::Stream& stream, const Place& place, const config::ErrorPage& page,
                                     int status) {
  auto path = parse_request_path(stream.request().target).value_or(RequestPath{});
  std::string target;
  page.target.expand(RequestVariables(stream, place, path), target);
  stream.told_status = page.answer.value_or(status);
  stream.cache_status = {};
  stream.upstream_fields = nullptr;  // held by an answer that is not given
  if (stream.told_status == 204 || stream.told_status == 304) {  // of no page there would be anything to see
    fields_.clear();
    fields_.push_back({"date", date_text(stream), true});
    add_configured(stream, place, stream.told_status);
    return stream.respond({stream.told_status, fields_, 0}, std::span<const std::byte>(), nullptr);
  }
  const std::shared_ptr<Site> site = site_of(stream);
  const auto refuse_page = [&](std::string_view detail) {
    tools_.log_error("error_page \"" + target + "\" of " + std::string(stream.sent_target()) + ": " +
                     std::string(detail));
    refuse(stream, &place, 500, "error-page", detail);
  };
  if (target.starts_with('@')) {
    const Place* named = site->find_named(*place.server, target);
    if (!named) return refuse_page("there is no such named location");
    stream.place = named;
    return serve_at(stream, *named, std::move(path));
  }
  if (target.starts_with('/')) {
    stream.redirect_to(stream.keep(target));
    auto page_path = parse_request_path(stream.request().target);
    const Place* found = page_path ? site->find_in(*place.server, page_path->path()) : nullptr;
    if (!found) return refuse_page("that is no path that can be resolved");
    stream.place = found;
    return serve_at(stream, *found, std::move(page_path));
  }
  if (!is_redirect(stream.told_status)) stream.told_status = 302;
  fields_.clear();
  fields_.push_back({"date", date_text(stream), true});
  fields_.push_back({"location", stream.keep(target), true});
  fields_.push_back({"content-length", "0", false});
  add_configured(stream, place, stream.told_status);
  stream.respond({stream.told_status, fields_, 0}, std::span<const std::byte>(), nullptr);
}

}  // namespace entrepot::serve
