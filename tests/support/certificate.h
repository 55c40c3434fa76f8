// Certificates made on the spot: an authority, and what it signs, for tests of TLS.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace entrepot::support {

class Authority {
 public:
  Authority();

  std::string certificate_pem() const;
  // A server's context with a fresh key and a certificate for `names` ("DNS:edge.test", "IP:127.0.0.1"),
  // valid from yesterday for `days` (negative: expired).
  std::shared_ptr<SSL_CTX> server(const std::vector<std::string>& names, int days = 30) const;

 private:
  std::shared_ptr<X509> issue(EVP_PKEY* key, const std::string& common_name,
                              const std::string& alternative_names, int days, bool authority) const;
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
};

}  // namespace entrepot::support
