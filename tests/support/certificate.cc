#include "tests/support/certificate.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdlib>

namespace entrepot::support {

namespace {

std::shared_ptr<EVP_PKEY> make_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

void add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  if (!extension) std::abort();
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

Authority::Authority() : key_(make_key()) {
  certificate_ = issue(key_.get(), "Test Authority", "", 30, true);
}

std::shared_ptr<X509> Authority::issue(EVP_PKEY* key, const std::string& common_name,
                                       const std::string& alternative_names, int days, bool authority) const {
  std::shared_ptr<X509> certificate(X509_new(), X509_free);
  X509* raw = certificate.get();
  X509* issuer = certificate_ ? certificate_.get() : raw;
  X509_set_version(raw, 2);
  unsigned char serial[8];
  RAND_bytes(serial, sizeof(serial));
  BIGNUM* number = BN_bin2bn(serial, sizeof(serial), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(raw));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(raw), -2 * 24 * 3600);
  X509_gmtime_adj(X509_getm_notAfter(raw), days * 24L * 3600);
  X509_set_pubkey(raw, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  X509_set_issuer_name(raw, X509_get_subject_name(issuer));
  add_extension(raw, issuer, NID_basic_constraints, authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!alternative_names.empty()) add_extension(raw, issuer, NID_subject_alt_name, alternative_names);
  X509_sign(raw, key_.get(), EVP_sha256());
  return certificate;
}

std::string Authority::certificate_pem() const {
  BIO* out = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(out, certificate_.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  std::string pem(bytes, static_cast<size_t>(size));
  BIO_free(out);
  return pem;
}

std::shared_ptr<SSL_CTX> Authority::server(const std::vector<std::string>& names, int days) const {
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : ",") + name;
  const auto key = make_key();
  const auto certificate = issue(key.get(), "Test Server", joined, days, false);
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1)
    std::abort();
  return context;
}

}  // namespace entrepot::support
