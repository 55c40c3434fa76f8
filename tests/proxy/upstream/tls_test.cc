#include "tests/proxy/upstream/fetching.h"
#include "tests/support/certificate.h"
#include "tests/support/temp_dir.h"

namespace entrepot::upstream {
namespace {

class UpstreamTls : public Fetching {
 protected:
  ScriptedOrigin::Options secure(const std::vector<std::string>& names, int days = 30) {
    return {.tls = authority_.server(names, days)};
  }
  UpstreamRequest trusting(std::string url) {
    UpstreamRequest request = get(std::move(url));
    request.tls_trusted_certificate = certificate_;
    return request;
  }

  const std::string hello_ = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
  const support::Authority authority_;
  const support::TempDir dir_;
  const std::string certificate_ = dir_.write("authority.pem", authority_.certificate_pem());
};

TEST_F(UpstreamTls, VerifiedPeerServesAndItsConnectionServesAgain) {
  ScriptedOrigin origin(answer(hello_), secure({"IP:127.0.0.1"}));
  for (int i = 0; i < 2; ++i) {
    const Fetched got = fetch(trusting(origin.url("/x")));
    EXPECT_EQ(got.error, std::nullopt) << got.detail;
    EXPECT_EQ(got.body, "hello");
  }
  EXPECT_EQ(origin.connection_count(), 1u);
}

TEST_F(UpstreamTls, UnknownAuthorityIsRefusedAndSaid) {
  ScriptedOrigin origin(answer(hello_), secure({"IP:127.0.0.1"}));
  const Fetched got = fetch(origin.url("/x"));
  EXPECT_EQ(got.error, Error::kTls);
  EXPECT_EQ(got.detail, "TLS with " + origin.host_port() +
                            ": SSL certificate problem: unable to get local issuer certificate");
  EXPECT_EQ(origin.request_count(), 0u);
}

TEST_F(UpstreamTls, AnotherAuthorityIsRefused) {
  const support::Authority other;
  ScriptedOrigin origin(answer(hello_), {.tls = other.server({"IP:127.0.0.1"})});
  EXPECT_EQ(fetch(trusting(origin.url("/x"))).error, Error::kTls);
  EXPECT_EQ(origin.request_count(), 0u);
}

TEST_F(UpstreamTls, WrongNameIsRefusedAndSaid) {
  ScriptedOrigin origin(answer(hello_), secure({"DNS:other.test"}));
  const Fetched got = fetch(trusting(origin.url("/x")));
  EXPECT_EQ(got.error, Error::kTls);
  EXPECT_NE(got.detail.find("no alternative certificate subject name matches"), std::string::npos)
      << got.detail;
  EXPECT_EQ(origin.request_count(), 0u);
}

TEST_F(UpstreamTls, ExpiredCertificateIsRefusedAndSaid) {
  ScriptedOrigin origin(answer(hello_), secure({"IP:127.0.0.1"}, -1));
  const Fetched got = fetch(trusting(origin.url("/x")));
  EXPECT_EQ(got.error, Error::kTls);
  EXPECT_NE(got.detail.find("certificate has expired"), std::string::npos) << got.detail;
}

TEST_F(UpstreamTls, MissingTrustFileIsRefused) {
  ScriptedOrigin origin(answer(hello_), secure({"IP:127.0.0.1"}));
  UpstreamRequest request = get(origin.url("/x"));
  request.tls_trusted_certificate = dir_.path("missing.pem");
  EXPECT_EQ(fetch(request).error, Error::kTls);
}

TEST_F(UpstreamTls, VerificationOffTakesAnyCertificate) {
  ScriptedOrigin origin(answer(hello_), secure({"DNS:other.test"}, -1));
  UpstreamRequest request = get(origin.url("/x"));
  request.tls_verify = false;
  EXPECT_EQ(fetch(request).body, "hello");
}

TEST_F(UpstreamTls, UnverifiedConnectionIsNotUsedForAVerifiedRequest) {
  ScriptedOrigin origin(answer(hello_), secure({"DNS:other.test"}));
  UpstreamRequest request = get(origin.url("/x"));
  request.tls_verify = false;
  EXPECT_EQ(fetch(request).body, "hello");
  EXPECT_EQ(fetch(trusting(origin.url("/y"))).error, Error::kTls);
  EXPECT_EQ(origin.request_count(), 1u);
}

TEST_F(UpstreamTls, GivenNameIsSentAndVerifiedWhileTheUrlSaysWhere) {
  ScriptedOrigin origin(answer(hello_), secure({"DNS:repo.example.com"}));
  UpstreamRequest request = trusting(origin.url("/x"));
  request.tls_name = "repo.example.com";
  for (int i = 0; i < 2; ++i) {
    const Fetched got = fetch(request);
    EXPECT_EQ(got.body, "hello") << got.detail;
    EXPECT_EQ(got.address, origin.host_port());
  }
  EXPECT_EQ(origin.connection_count(), 1u);
  EXPECT_EQ(origin.requests().at(0).server_name, "repo.example.com");
  EXPECT_EQ(origin.requests().at(0).field("host"), origin.host_port());
  request.tls_name = "other.example.com";
  EXPECT_EQ(fetch(request).error, Error::kTls);
  EXPECT_EQ(origin.request_count(), 2u);
}

TEST_F(UpstreamTls, GivenNameHoldsWhereTheUrlHasANameItself) {
  ScriptedOrigin origin(answer(hello_), secure({"DNS:repo.example.com"}));
  UpstreamRequest request = trusting("https://localhost:" + std::to_string(origin.port()) + "/x");
  request.tls_name = "repo.example.com";
  EXPECT_EQ(fetch(request).body, "hello");
  request.tls_name.clear();
  EXPECT_EQ(fetch(request).error, Error::kTls);
}

TEST_F(UpstreamTls, CutBodyIsAReset) {
  ScriptedOrigin origin(
      [](Connection& connection, const Request&) {
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
        connection.close();
      },
      secure({"IP:127.0.0.1"}));
  const Fetched got = fetch(trusting(origin.url("/x")));
  EXPECT_EQ(got.body, "abc");
  EXPECT_EQ(got.error, Error::kReset);
}

// Without close_notify, and without any other mark of the end, nobody knows whether that was all.
TEST_F(UpstreamTls, CloseDelimitedBodyWithoutCloseNotifyIsNoCleanEnd) {
  ScriptedOrigin origin(
      [](Connection& connection, const Request&) {
        connection.send("HTTP/1.1 200 OK\r\n\r\nabc");
        connection.cut();
      },
      secure({"IP:127.0.0.1"}));
  const Fetched got = fetch(trusting(origin.url("/x")));
  EXPECT_EQ(got.error, Error::kReset) << got.detail;
}

TEST_F(UpstreamTls, CloseDelimitedBodyWithCloseNotifyEndsCleanly) {
  ScriptedOrigin origin(
      [&](Connection& connection, const Request& request) {
        if (request.target == "/first") {
          connection.send(hello_);
          return;
        }
        connection.send("HTTP/1.1 200 OK\r\n\r\nabc");
        connection.close();
      },
      secure({"IP:127.0.0.1"}));
  // The second one runs on a connection that another handle has made.
  EXPECT_EQ(fetch(trusting(origin.url("/first"))).body, "hello");
  const Fetched got = fetch(trusting(origin.url("/second")));
  EXPECT_EQ(got.error, std::nullopt) << got.detail;
  EXPECT_EQ(got.body, "abc");
  EXPECT_EQ(origin.connection_count(), 1u);
}

TEST_F(UpstreamTls, CleartextPeerIsATlsError) {
  ScriptedOrigin origin([](Connection&, const Request&) {}, {.on_accept = [](Connection& connection) {
                          connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
                          connection.close();
                        }});
  const Fetched got = fetch("https" + origin.url("/x").substr(4));
  EXPECT_EQ(got.error, Error::kTls);
  EXPECT_TRUE(got.detail.starts_with("TLS with " + origin.host_port() + ": ")) << got.detail;
}

}  // namespace
}  // namespace entrepot::upstream
