#include "proxy/io/tls.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace entrepot::io {

namespace {

std::string openssl_reason() {
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason ? reason : "unknown error";
}

bool has_word(std::string_view list, std::string_view word) {
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(' ', begin), list.size());
    if (list.substr(begin, end - begin) == word) return true;
    begin = end + 1;
  }
  return false;
}

constexpr unsigned char kHttp1[] = "\x08http/1.1";
constexpr unsigned char kHttp2[] = "\x02h2\x08http/1.1";

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                unsigned int in_length, void* http2) {
  const unsigned char* ours = http2 ? kHttp2 : kHttp1;
  const auto length = static_cast<unsigned int>(http2 ? sizeof(kHttp2) - 1 : sizeof(kHttp1) - 1);
  unsigned char* chosen = nullptr;
  // Our list goes first: the order is ours.
  if (SSL_select_next_proto(&chosen, out_length, ours, length, in, in_length) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

bool set_protocols(SSL_CTX* context, std::string_view protocols) {
  const bool v12 = has_word(protocols, "TLSv1.2");
  const bool v13 = has_word(protocols, "TLSv1.3");
  if (!v12 && !v13) return false;
  return SSL_CTX_set_min_proto_version(context, v12 ? TLS1_2_VERSION : TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(context, v13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

}  // namespace

std::shared_ptr<SSL_CTX> make_tls_context(const TlsOptions& options, std::string& error) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) {
    error = "cannot create a TLS context: " + openssl_reason();
    return nullptr;
  }
  SSL_CTX* const c = context.get();
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);  // tickets carry the state
  SSL_CTX_set_num_tickets(c, options.session_tickets ? 1 : 0);
  if (!options.session_tickets) SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
  SSL_CTX_set_timeout(c, static_cast<long>(options.session_timeout.count()));
  SSL_CTX_set_alpn_select_cb(c, select_alpn, options.http2 ? c : nullptr);

  const auto failed = [&error](const std::string& what) -> std::shared_ptr<SSL_CTX> {
    error = what + ": " + openssl_reason();
    return nullptr;
  };
  if (!set_protocols(c, options.protocols)) {
    error = "no usable protocol in \"" + options.protocols + "\"";
    return nullptr;
  }
  if (SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") != 1) return failed("cannot set key exchange groups");
  if (SSL_CTX_set_cipher_list(c, options.ciphers.c_str()) != 1)
    return failed("cannot use ciphers \"" + options.ciphers + "\"");
  for (const auto& [path, key] : options.certificates) {
    if (SSL_CTX_use_certificate_chain_file(c, path.c_str()) != 1)
      return failed("cannot load certificate \"" + path + "\"");
    if (SSL_CTX_use_PrivateKey_file(c, key.c_str(), SSL_FILETYPE_PEM) != 1)
      return failed("cannot load certificate key \"" + key + "\"");
    if (SSL_CTX_check_private_key(c) != 1) return failed("certificate \"" + path + "\" and key \"" + key + "\"");
  }
  return context;
}

struct TlsSelector::Choice {
  struct ByLength {
    bool operator()(const std::string& a, const std::string& b) const {
      return a.size() != b.size() ? a.size() > b.size() : a < b;
    }
  };
  using Wildcards = std::map<std::string, std::shared_ptr<SSL_CTX>, ByLength>;  // longest first

  std::shared_ptr<SSL_CTX> fallback;
  std::map<std::string, std::shared_ptr<SSL_CTX>, std::less<>> exact;
  Wildcards fronts;  // ".example.com" of "*.example.com"
  Wildcards ends;    // "www.example." of "www.example.*"

  void add(std::string_view name, const std::shared_ptr<SSL_CTX>& context) {
    if (name.starts_with("*.")) {
      fronts.try_emplace(std::string(name.substr(1)), context);
    } else if (name.starts_with('.')) {
      fronts.try_emplace(std::string(name), context);
      exact.try_emplace(std::string(name.substr(1)), context);
    } else if (name.ends_with(".*")) {
      ends.try_emplace(std::string(name.substr(0, name.size() - 1)), context);
    } else {
      exact.try_emplace(std::string(name), context);
    }
  }

  SSL_CTX* find(std::string_view name) const {
    if (const auto found = exact.find(name); found != exact.end()) return found->second.get();
    for (const auto& [suffix, context] : fronts) {
      if (name.size() > suffix.size() && name.ends_with(suffix)) return context.get();
    }
    for (const auto& [prefix, context] : ends) {
      if (name.size() > prefix.size() && name.starts_with(prefix)) return context.get();
    }
    return fallback.get();
  }

  static int on_server_name(SSL* ssl, int*, void* self) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, static_cast<const Choice*>(self)->find(lower(name)));
    return SSL_TLSEXT_ERR_OK;
  }
};

TlsSelector::TlsSelector() : choice_(std::make_shared<Choice>()) {}

void TlsSelector::add(std::span<const std::string> names, std::shared_ptr<SSL_CTX> context, bool is_default) {
  for (const auto& name : names) choice_->add(lower(name), context);
  if (is_default || !choice_->fallback) choice_->fallback = std::move(context);
}

std::shared_ptr<SSL_CTX> TlsSelector::default_context() {
  SSL_CTX* const context = choice_->fallback.get();
  if (!context) return nullptr;
  SSL_CTX_set_tlsext_servername_callback(context, &Choice::on_server_name);
  SSL_CTX_set_tlsext_servername_arg(context, choice_.get());
  return std::shared_ptr<SSL_CTX>(choice_, context);  // whoever holds the default holds them all
}

}  // namespace entrepot::io
