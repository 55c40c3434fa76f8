// A self-signed certificate and its key, in files of a directory that goes with it.
#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace entrepot::testing {

class TestCertificate {
 public:
  explicit TestCertificate(const std::string& name) : name_(name) {
    char pattern[] = "/tmp/entrepot-cert-XXXXXX";
    if (!mkdtemp(pattern)) std::abort();
    directory_ = pattern;
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_sign(x509, key, EVP_sha256());
    FILE* file = std::fopen(certificate().c_str(), "w");
    PEM_write_X509(file, x509);
    std::fclose(file);
    file = std::fopen(this->key().c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  ~TestCertificate() {
    ::unlink(certificate().c_str());
    ::unlink(key().c_str());
    ::rmdir(directory_.c_str());
  }
  TestCertificate(const TestCertificate&) = delete;

  const std::string& name() const { return name_; }
  std::string certificate() const { return directory_ + "/cert.pem"; }
  std::string key() const { return directory_ + "/key.pem"; }

 private:
  std::string name_, directory_;
};

}  // namespace entrepot::testing
