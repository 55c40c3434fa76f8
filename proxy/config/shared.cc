// The settings that server, location and repository inherit from one another.
#include <tuple>

#include "proxy/config/draft.h"

namespace entrepot::config {

namespace {

using D = SharedDraft;
using S = Shared;

// A setting where a level's draft has it, and where it comes to.
constexpr std::tuple kSettings{
    std::pair(&D::client_max_body_size_bytes, &S::client_max_body_size_bytes),
    std::pair(&D::client_body_timeout, &S::client_body_timeout),
    std::pair(&D::real_ip_from, &S::real_ip_from),
    std::pair(&D::real_ip_header, &S::real_ip_header),
    std::pair(&D::real_ip_recursive, &S::real_ip_recursive),
    std::pair(&D::forwarded, &S::forwarded),
    std::pair(&D::proxy_method, &S::proxy_method),
    std::pair(&D::proxy_set_body, &S::proxy_set_body),
    std::pair(&D::proxy_pass_request_headers, &S::proxy_pass_request_headers),
    std::pair(&D::proxy_pass_request_body, &S::proxy_pass_request_body),
    std::pair(&D::proxy_send_timeout, &S::proxy_send_timeout),
    std::pair(&D::proxy_next_upstream, &S::proxy_next_upstream),
    std::pair(&D::proxy_next_upstream_tries, &S::proxy_next_upstream_tries),
    std::pair(&D::proxy_next_upstream_timeout, &S::proxy_next_upstream_timeout),
    std::pair(&D::proxy_ssl_name, &S::proxy_ssl_name),
    std::pair(&D::proxy_hide_headers, &S::proxy_hide_headers),
    std::pair(&D::proxy_pass_headers, &S::proxy_pass_headers),
    std::pair(&D::proxy_ignore_headers, &S::proxy_ignore_headers),
    std::pair(&D::proxy_intercept_errors, &S::proxy_intercept_errors),
    std::pair(&D::error_pages, &S::error_pages),
    std::pair(&D::recursive_error_pages, &S::recursive_error_pages),
    std::pair(&D::proxy_cache_bypass, &S::proxy_cache_bypass),
    std::pair(&D::proxy_no_cache, &S::proxy_no_cache),
    std::pair(&D::proxy_cache_min_uses, &S::proxy_cache_min_uses),
    std::pair(&D::proxy_cache_revalidate, &S::proxy_cache_revalidate),
    std::pair(&D::proxy_cache_background_update, &S::proxy_cache_background_update),
    std::pair(&D::proxy_cache_use_stale, &S::proxy_cache_use_stale),
    std::pair(&D::proxy_cache_convert_head, &S::proxy_cache_convert_head),
    std::pair(&D::cache_control_targets, &S::cache_control_targets),
    std::pair(&D::surrogate_control, &S::surrogate_control),
    std::pair(&D::heuristic, &S::heuristic),
    std::pair(&D::root, &S::root),
    std::pair(&D::add_headers, &S::add_headers),
    std::pair(&D::proxy_set_headers, &S::proxy_set_headers),
    std::pair(&D::proxy_connect_timeout, &S::proxy_connect_timeout),
    std::pair(&D::proxy_read_timeout, &S::proxy_read_timeout),
    std::pair(&D::proxy_assumed_offline, &S::proxy_assumed_offline),
    std::pair(&D::keepalive_timeout, &S::keepalive_timeout),
    std::pair(&D::client_header_timeout, &S::client_header_timeout),
    std::pair(&D::send_timeout, &S::send_timeout),
    std::pair(&D::proxy_ssl_verify, &S::proxy_ssl_verify),
    std::pair(&D::proxy_cache_key, &S::proxy_cache_key),
    std::pair(&D::proxy_cache_valid, &S::proxy_cache_valid),
    std::pair(&D::slice_bytes, &S::slice_bytes),
    std::pair(&D::default_type, &S::default_type),
};

template <typename T>
void inherit(std::optional<T>& own, const std::optional<T>& from) {
  if (!own) own = from;
}

void settle(const std::optional<FileDraft>& draft, std::string& path, Place& place) {
  if (!draft) return;
  path = draft->path;
  place = draft->place;
}

}  // namespace

void inherit(SharedDraft& own, const SharedDraft& from) {
  std::apply([&](const auto&... setting) { (inherit(own.*setting.first, from.*setting.first), ...); }, kSettings);
  if (own.access_logs.empty() && !own.access_log_off) {
    own.access_logs = from.access_logs;
    own.access_log_off = from.access_log_off;
  }
  inherit(own.proxy_redirects, from.proxy_redirects);
  inherit(own.proxy_ssl_trusted_certificate, from.proxy_ssl_trusted_certificate);
  inherit(own.proxy_ssl_certificate, from.proxy_ssl_certificate);
  inherit(own.proxy_ssl_certificate_key, from.proxy_ssl_certificate_key);
  inherit(own.proxy_cache, from.proxy_cache);
  if (!own.types) own.types = from.types;
}

void settle(const SharedDraft& draft, Shared& out) {
  const auto settle_one = [&](const auto& setting) {
    if (draft.*setting.first) out.*setting.second = *(draft.*setting.first);
  };
  std::apply([&](const auto&... setting) { (settle_one(setting), ...); }, kSettings);
  settle(draft.proxy_ssl_trusted_certificate, out.proxy_ssl_trusted_certificate,
         out.proxy_ssl_trusted_certificate_place);
  settle(draft.proxy_ssl_certificate, out.proxy_ssl_certificate, out.proxy_ssl_certificate_place);
  settle(draft.proxy_ssl_certificate_key, out.proxy_ssl_certificate_key, out.proxy_ssl_certificate_key_place);
}

}  // namespace entrepot::config
