#include "proxy/io/tls.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>

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

namespace {

struct Choice {
  std::shared_ptr<SSL_CTX> own;
  TlsChooser choose;

  static int on_server_name(SSL* ssl, int*, void* self) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name) return SSL_TLSEXT_ERR_NOACK;
    if (SSL_CTX* chosen = static_cast<const Choice*>(self)->choose(lower(name))) SSL_set_SSL_CTX(ssl, chosen);
    return SSL_TLSEXT_ERR_OK;
  }
};

}  // namespace

std::shared_ptr<SSL_CTX> choosing_context(std::shared_ptr<SSL_CTX> own, TlsChooser choose) {
  auto choice = std::make_shared<Choice>(Choice{std::move(own), std::move(choose)});
  SSL_CTX* const context = choice->own.get();
  SSL_CTX_set_tlsext_servername_callback(context, &Choice::on_server_name);
  SSL_CTX_set_tlsext_servername_arg(context, choice.get());
  return std::shared_ptr<SSL_CTX>(std::move(choice), context);
}

}  // namespace entrepot::io
