#include "resolver/signed_url.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <random>
#include <vector>

namespace entrepot::resolver {
namespace {

const std::string kSecret = "secret";
constexpr std::time_t kEnd = 1'700'000'000;

// The signature was made with: printf %s TEXT | openssl dgst -sha256 -hmac secret -binary | basenc
// --base64url
TEST(SecureLink, HasAKnownForm) {
  const std::string link = sign_secure_link("/a/b.jar", kSecret, kEnd);
  EXPECT_EQ(link, "/a/b.jar?expires=1700000000&sig=OrBTyCq8J9ULiEAqX5gL74deqDEg7j4kYbHJogr0PXY");
}

TEST(SecureLink, SignedTargetsAreGoodUntilTheirEnd) {
  for (const auto* target : {"/a/b.jar", "/a?x=1", "/a?x=1&sig=old", "/", "/a?", "/%5b/;m=1"}) {
    const std::string link = sign_secure_link(target, kSecret, kEnd);
    EXPECT_EQ(check_secure_link(link, kSecret, kEnd - 1), LinkVerdict::kGood) << link;
    EXPECT_EQ(check_secure_link(link, kSecret, kEnd), LinkVerdict::kGood) << link;
    EXPECT_EQ(check_secure_link(link, kSecret, kEnd + 1), LinkVerdict::kExpired) << link;
    EXPECT_EQ(unsigned_target(link), target);
  }
}

TEST(SecureLink, HostIsNotSignedAndFragmentIsDropped) {
  const std::string target = sign_secure_link("/a?x=1", kSecret, kEnd);
  EXPECT_EQ(sign_secure_link("https://h:1/a?x=1#f", kSecret, kEnd), "https://h:1" + target);
  EXPECT_EQ(sign_secure_link("https://h", kSecret, kEnd), "https://h" + sign_secure_link("/", kSecret, kEnd));
  EXPECT_EQ(sign_secure_link("https://h?x=1", kSecret, kEnd),
            "https://h" + sign_secure_link("/?x=1", kSecret, kEnd));
  EXPECT_EQ(check_secure_link(sign_secure_link("/a?u=http://x/y", kSecret, kEnd), kSecret, 0),
            LinkVerdict::kGood);
}

TEST(SecureLink, UnsignedIsNotBad) {
  for (const auto* target : {"", "/", "/a", "/a?", "/a?x=1", "/a?expires=1", "/a&sig=x", "/a?xsig=1"}) {
    EXPECT_EQ(check_secure_link(target, kSecret, 0), LinkVerdict::kUnsigned) << target;
  }
}

TEST(SecureLink, EveryOtherByteOrPlaceIsBad) {
  const std::string link = sign_secure_link("/a?x=1", kSecret, kEnd);
  for (const std::string& bad :
       {link + "&y=1", link + "=", link + "a", link.substr(0, link.size() - 1), "/b" + link.substr(2),
        link + link.substr(link.find("&sig=")), std::string("/a?sig="), std::string("/a?sig=x&expires=1"),
        std::string("/a?expires=1&sig="), std::string("/a&sig=?sig=x")}) {
    EXPECT_EQ(check_secure_link(bad, kSecret, 0), LinkVerdict::kBad) << bad;
  }
  for (size_t i = 0; i < link.size(); ++i) {
    std::string changed = link;
    changed[i] = changed[i] == '3' ? '4' : '3';
    EXPECT_NE(check_secure_link(changed, kSecret, 0), LinkVerdict::kGood) << changed;
  }
}

TEST(SecureLink, WithoutASecretNothingIsSignedAndNothingGood) {
  EXPECT_EQ(sign_secure_link("/a", "", kEnd), "/a");
  EXPECT_EQ(check_secure_link(sign_secure_link("/a", kSecret, kEnd), "", 0), LinkVerdict::kBad);
  EXPECT_EQ(check_secure_link(sign_secure_link("/a", kSecret, kEnd), "other", 0), LinkVerdict::kBad);
}

using Key = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
Key make_rsa() { return {EVP_RSA_gen(2048), EVP_PKEY_free}; }
Key make_ec() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

std::string pem_of(EVP_PKEY* key, const char* passphrase = nullptr) {
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(bio.get(), key, passphrase ? EVP_aes_128_cbc() : nullptr,
                           reinterpret_cast<const unsigned char*>(passphrase),
                           passphrase ? static_cast<int>(std::string_view(passphrase).size()) : 0, nullptr,
                           nullptr);
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(length)};
}

bool verifies(EVP_PKEY* key, const std::string& policy, std::string signature) {
  for (char& c : signature) c = c == '-' ? '+' : c == '_' ? '=' : c == '~' ? '/' : c;
  std::vector<unsigned char> bytes(signature.size());
  const int length = EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(signature.data()),
                                     static_cast<int>(signature.size()));
  if (length < 256) return false;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha1(), nullptr, key);
  return EVP_DigestVerify(context.get(), bytes.data(), 256,
                          reinterpret_cast<const unsigned char*>(policy.data()), policy.size()) == 1;
}

void expect_signed(EVP_PKEY* key, const std::string& link, const std::string& resource) {
  const std::string before =
      resource + (resource.find('?') == std::string::npos ? "?" : "&") + "Expires=1700000000&Signature=";
  const std::string behind = "&Key-Pair-Id=K2JCJMDEHXQW5F";
  ASSERT_TRUE(link.starts_with(before)) << link;
  ASSERT_TRUE(link.ends_with(behind)) << link;
  const std::string signature = link.substr(before.size(), link.size() - before.size() - behind.size());
  EXPECT_EQ(signature.find_first_of("+/=&"), std::string::npos);
  EXPECT_TRUE(verifies(key,
                       "{\"Statement\":[{\"Resource\":\"" + resource +
                           "\",\"Condition\":{\"DateLessThan\":{\"AWS:EpochTime\":1700000000}}}]}",
                       signature));
}

TEST(CloudFrontSigner, PublicKeyVerifiesTheCannedPolicy) {
  const Key key = make_rsa();
  const auto signer = CloudFrontSigner::create(pem_of(key.get()), "K2JCJMDEHXQW5F");
  ASSERT_TRUE(signer);
  expect_signed(key.get(), *signer->sign("https://d.cloudfront.net/a.jar", kEnd),
                "https://d.cloudfront.net/a.jar");
  const CloudFrontSigner copy = *signer;
  expect_signed(key.get(), *copy.sign("https://d.cloudfront.net/a?x=1&y=2#f", kEnd),
                "https://d.cloudfront.net/a?x=1&y=2");
}

TEST(CloudFrontSigner, UrlsThatWouldBreakThePolicyAreNotSigned) {
  const auto signer = CloudFrontSigner::create(pem_of(make_rsa().get()), "K");
  ASSERT_TRUE(signer);
  for (const auto* url :
       {"", "#", "https://h/a b", "https://h/\"", "https://h/\\", "https://h/\n", "https://h/\xc3"}) {
    EXPECT_FALSE(signer->sign(url, kEnd)) << url;
  }
  EXPECT_FALSE(signer->sign("https://h/", -1));
}

TEST(CloudFrontSigner, NeedsAnUnencryptedRsaKeyAndAnId) {
  const Key key = make_rsa();
  const std::string pem = pem_of(key.get());
  EXPECT_FALSE(CloudFrontSigner::create("", "K"));
  EXPECT_FALSE(CloudFrontSigner::create("no key", "K"));
  EXPECT_FALSE(CloudFrontSigner::create(pem.substr(0, pem.size() / 2), "K"));
  EXPECT_FALSE(CloudFrontSigner::create(pem_of(make_ec().get()), "K"));
  EXPECT_FALSE(CloudFrontSigner::create(pem_of(key.get(), "passphrase"), "K"));
  EXPECT_FALSE(CloudFrontSigner::create(pem, ""));
  EXPECT_FALSE(CloudFrontSigner::create(pem, "K&x=1"));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace entrepot::resolver
