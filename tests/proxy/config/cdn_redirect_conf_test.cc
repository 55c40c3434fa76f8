// cdn_redirect: its good forms, and each wrong one with all that is printed.
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "tests/proxy/config/conf_fixture.h"

namespace entrepot::config {
namespace {

std::string rsa_pem() {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_RSA_gen(2048), EVP_PKEY_free);
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(length)};
}

class CdnRedirectConf : public ConfTest {
 protected:
  static std::string conf(const std::string& line) {
    return "http { repository a { format generic; proxy_pass https://b;\n" + line + "\n} }";
  }
  std::optional<CdnRedirect> cdn(const std::string& arguments) const {
    return good(conf("cdn_redirect " + arguments + ";"))->repositories.at(0)->cdn_redirect;
  }
  void write_secret(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    ::chmod(dir_.write(name, text).c_str(), mode);
  }
};

TEST_F(CdnRedirectConf, IsOffUnlessTheConfNamesACdn) {
  EXPECT_FALSE(good(conf(""))->repositories.at(0)->cdn_redirect);
  EXPECT_FALSE(cdn("off"));
  const auto plain = cdn("https://cdn.example.com");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->base, "https://cdn.example.com");
  EXPECT_EQ(plain->secret, "");
  EXPECT_FALSE(plain->cloudfront);
  EXPECT_EQ(plain->min_size_bytes, 1u << 20);
  EXPECT_EQ(plain->expires, std::chrono::minutes(10));
}

TEST_F(CdnRedirectConf, HasAPrefixASizeAndATime) {
  const auto set = cdn("https://cdn.example.com:8443/a/b/ expires=1h30m min_size=64k");
  EXPECT_EQ(set->base, "https://cdn.example.com:8443/a/b");
  EXPECT_EQ(set->min_size_bytes, 64u << 10);
  EXPECT_EQ(set->expires, std::chrono::minutes(90));
}

TEST_F(CdnRedirectConf, TheSecretOfLinksIsTheFirstLineOfAFileOfItsOwner) {
  for (const char* text : {"s3cret", "s3cret\n", "s3cret\r\nan older one\n"}) {
    write_secret("secret", text);
    EXPECT_EQ(cdn("https://c sign=secure_link:secret")->secret, "s3cret");
  }
}

TEST_F(CdnRedirectConf, CloudFrontsKeyIsReadFromPem) {
  write_secret("key.pem", rsa_pem());
  const auto set = cdn("https://c sign=cloudfront:K2JC:key.pem");
  ASSERT_TRUE(set->cloudfront);
  EXPECT_EQ(set->secret, "");
  EXPECT_TRUE(set->cloudfront->sign("https://c/a", 1)->ends_with("&Key-Pair-Id=K2JC"));
}

TEST_F(CdnRedirectConf, EachMistakeIsShown) {
  write_secret("open", "secret", 0644);
  write_secret("empty", "\nsecret");
  write_secret("key.pem", rsa_pem());
  const struct {
    const char *line, *printed;  // line 2 of the conf, and what stands behind "entrepot: [emerg] "
  } kMistakes[] = {
      {"cdn_redirect;",
       "invalid number of arguments in \"cdn_redirect\" directive in edge.conf:2\n"
       "    cdn_redirect;\n    ^\n"
       "    expected: cdn_redirect off | https://HOST[:PORT][/PATH] [sign=secure_link:FILE | "
       "sign=cloudfront:KEY_PAIR_ID:PEM_FILE] [min_size=SIZE] [expires=TIME];\n"},
      {"cdn_redirect http://c;",
       "invalid value \"http://c\" in \"cdn_redirect\" directive in edge.conf:2\n"
       "    cdn_redirect http://c;\n                 ^\n"
       "    expected: off, or https://HOST[:PORT][/PATH]\n"},
      {"cdn_redirect https:///a;",
       "invalid value \"https:///a\" in \"cdn_redirect\" directive in edge.conf:2\n"
       "    cdn_redirect https:///a;\n                 ^\n"
       "    expected: off, or https://HOST[:PORT][/PATH]\n"},
      {"cdn_redirect off min_size=1;",
       "invalid value \"off\" in \"cdn_redirect\" directive in edge.conf:2\n"
       "    cdn_redirect off min_size=1;\n                 ^\n"
       "    expected: off, or https://HOST[:PORT][/PATH]\n"},
      {"cdn_redirect https://c fast;",
       "invalid parameter \"fast\" in edge.conf:2\n"
       "    cdn_redirect https://c fast;\n                           ^\n"},
      {"cdn_redirect https://c min_size=x;",
       "invalid min_size value \"min_size=x\" in edge.conf:2\n"
       "    cdn_redirect https://c min_size=x;\n                           ^\n"
       "    expected: a size: 1m, 64k, 0\n"},
      {"cdn_redirect https://c expires=0;",
       "invalid expires value \"expires=0\" in edge.conf:2\n"
       "    cdn_redirect https://c expires=0;\n"
       "                           ^\n"
       "    expected: a time in whole seconds: 10m, 1h\n"},
      {"cdn_redirect https://c sign=md5:x;",
       "invalid sign value \"sign=md5:x\" in edge.conf:2\n"
       "    cdn_redirect https://c sign=md5:x;\n                           ^\n"
       "    expected: sign=secure_link:FILE or sign=cloudfront:KEY_PAIR_ID:PEM_FILE\n"},
      {"cdn_redirect https://c sign=cloudfront:K;",
       "invalid sign value \"sign=cloudfront:K\" in edge.conf:2\n"
       "    cdn_redirect https://c sign=cloudfront:K;\n                           ^\n"
       "    expected: sign=secure_link:FILE or sign=cloudfront:KEY_PAIR_ID:PEM_FILE\n"},
      {"cdn_redirect https://c sign=cloudfront:K:key.pem sign=secure_link:open;",
       "invalid parameter \"sign=secure_link:open\" in edge.conf:2\n"
       "    cdn_redirect https://c sign=cloudfront:K:key.pem sign=secure_link:open;\n"
       "                                                     ^\n"},
      {"cdn_redirect https://c sign=secure_link:none;",
       "secret file \"none\" cannot be read: No such file or directory in edge.conf:2\n"
       "    cdn_redirect https://c sign=secure_link:none;\n                           ^\n"},
      {"cdn_redirect https://c sign=secure_link:open;",
       "secret file \"open\" can be read by others than its owner in edge.conf:2\n"
       "    cdn_redirect https://c sign=secure_link:open;\n                           ^\n"
       "    expected: chmod 600\n"},
      {"cdn_redirect https://c sign=secure_link:empty;",
       "secret file \"empty\" has no secret in edge.conf:2\n"
       "    cdn_redirect https://c sign=secure_link:empty;\n                           ^\n"
       "    expected: it is the first line\n"},
      {"cdn_redirect https://c sign=cloudfront:K:open;",
       "key file \"open\" can be read by others than its owner in edge.conf:2\n"
       "    cdn_redirect https://c sign=cloudfront:K:open;\n                           ^\n"
       "    expected: chmod 600\n"},
      {"cdn_redirect https://c sign=cloudfront:K:empty;",
       "key file \"empty\" or key pair \"K\" cannot sign in edge.conf:2\n"
       "    cdn_redirect https://c sign=cloudfront:K:empty;\n                           ^\n"
       "    expected: an RSA private key in PEM without a passphrase; an id of letters, digits, \"-\" and "
       "\"_\"\n"},
  };
  for (const auto& mistake : kMistakes)
    EXPECT_EQ(error_of(conf(mistake.line)), std::string("entrepot: [emerg] ") + mistake.printed);
}

TEST_F(CdnRedirectConf, ALocalRepositoryHasNothingToSendThereFor) {
  EXPECT_EQ(error_of("http { repository a { format generic; root /srv; cdn_redirect https://c; } }"),
            "entrepot: [emerg] \"cdn_redirect\" in the local repository \"a\" in edge.conf:1\n"
            "    http { repository a { format generic; root /srv; cdn_redirect https://c; } }\n"
            "                      ^\n"
            "    expected: proxy_pass: clients are sent away for what is stored of an upstream\n");
}

}  // namespace
}  // namespace entrepot::config
