#include "proxy/io/tls.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "proxy/io/wire.h"
#include "tests/proxy/io/test_certificate.h"

namespace entrepot::io {
namespace {

using ::entrepot::testing::TestCertificate;

TlsOptions options_of(const TestCertificate& certificate) {
  TlsOptions options;
  options.certificates = {{certificate.certificate(), certificate.key()}};
  return options;
}

TEST(TlsContext, SaysWhichFileIsWrongAndWhy) {
  const TestCertificate one("one"), other("other");
  std::string error;

  TlsOptions missing = options_of(one);
  missing.certificates[0].path = "/nonexistent.pem";
  EXPECT_FALSE(make_tls_context(missing, error));
  EXPECT_EQ(error, "cannot load certificate \"/nonexistent.pem\": No such file or directory");

  TlsOptions foreign = options_of(one);
  foreign.certificates[0].key = other.key();
  EXPECT_FALSE(make_tls_context(foreign, error));
  EXPECT_EQ(error, "cannot load certificate key \"" + other.key() + "\": key values mismatch");

  TlsOptions ciphers = options_of(one);
  ciphers.ciphers = "NONSENSE";
  EXPECT_FALSE(make_tls_context(ciphers, error));
  EXPECT_EQ(error, "cannot use ciphers \"NONSENSE\": no cipher match");

  TlsOptions protocols = options_of(one);
  protocols.protocols = "TLSv1 TLSv1.1";
  EXPECT_FALSE(make_tls_context(protocols, error));
  EXPECT_EQ(error, "no usable protocol in \"TLSv1 TLSv1.1\"");
}

// A server of the wire and a client of OpenSSL's own, with memory between them.
class Pair {
 public:
  explicit Pair(SSL_CTX* context, int max_version = TLS1_3_VERSION) {
    server_ = wire.make_ssl(context);
    client_context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(client_context_, max_version);
    client_ = SSL_new(client_context_);
    SSL_set_bio(client_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client_);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) != 0) std::abort();
  }
  ~Pair() {
    SSL_free(server_);
    SSL_free(client_);
    SSL_CTX_free(client_context_);
    ::close(sockets_[0]);
    ::close(sockets_[1]);
  }
  Pair(const Pair&) = delete;

  bool handshake() {
    for (int i = 0; i < 10 && !(SSL_is_init_finished(server_) && SSL_is_init_finished(client_)); ++i) {
      SSL_do_handshake(client_);
      to_server();
      SSL_do_handshake(server_);
      to_client();
    }
    return SSL_is_init_finished(server_) && SSL_is_init_finished(client_);
  }
  void to_server() {
    char buffer[4096];
    const int n = BIO_read(SSL_get_wbio(client_), buffer, sizeof(buffer));
    if (n <= 0) return;
    [[maybe_unused]] const ssize_t written = ::write(sockets_[0], buffer, static_cast<size_t>(n));
    wire.fill(sockets_[1]);
  }
  void to_client() {
    const auto out = wire.output();
    BIO_write(SSL_get_rbio(client_), out.data(), static_cast<int>(out.size()));
    wire.reset();
  }
  std::string client_reads() {
    std::string all(1 << 20, ' ');
    size_t total = 0, n = 0;
    while (SSL_read_ex(client_, all.data() + total, all.size() - total, &n) == 1) total += n;
    all.resize(total);
    return all;
  }
  SSL* server() { return server_; }
  SSL* client() { return client_; }

  Wire wire;

 private:
  SSL* server_;
  SSL_CTX* client_context_;
  SSL* client_;
  int sockets_[2];
};

TEST(TlsContext, HonoursProtocols) {
  const TestCertificate certificate("edge");
  TlsOptions options = options_of(certificate);
  std::string error;
  Pair both(make_tls_context(options, error).get(), TLS1_2_VERSION);
  EXPECT_TRUE(both.handshake());
  options.protocols = "TLSv1.3";
  const auto only13 = make_tls_context(options, error);
  Pair old(only13.get(), TLS1_2_VERSION);
  EXPECT_FALSE(old.handshake());
  Pair fresh(only13.get());
  ASSERT_TRUE(fresh.handshake());
  EXPECT_EQ(SSL_get_negotiated_group(fresh.server()), NID_X25519);
}

// The payload lengths of the records in `bytes`.
std::vector<size_t> records_of(std::span<const std::byte> bytes) {
  std::vector<size_t> lengths;
  for (size_t at = 0; at + 5 <= bytes.size();) {
    const size_t length =
        std::to_integer<size_t>(bytes[at + 3]) << 8 | std::to_integer<size_t>(bytes[at + 4]);
    lengths.push_back(length);
    at += 5 + length;
  }
  return lengths;
}

TEST(Wire, GathersPiecesIntoFullRecordsAndCarriesTheTailToTheEnd) {
  const TestCertificate certificate("edge");
  std::string error;
  const auto context = make_tls_context(options_of(certificate), error);
  Pair pair(context.get());
  ASSERT_TRUE(pair.handshake());

  std::string sent;
  pair.wire.begin(pair.server(), Wire::kBurstBytes);
  for (int i = 0; !pair.wire.full(); ++i) {
    // Sizes around a frame's and around a record's, so that every way through append() is taken.
    const size_t sizes[] = {9, 16'384, 16'393, 1, 100, 40'000};
    const std::string piece(sizes[i % 6], static_cast<char>('a' + i % 26));
    pair.wire.append(std::as_bytes(std::span(piece.data(), piece.size())));
    sent += piece;
  }
  ASSERT_TRUE(pair.wire.finish());
  const auto records = records_of(pair.wire.output());
  ASSERT_GT(records.size(), 2u);
  for (size_t i = 0; i + 1 < records.size(); ++i) EXPECT_EQ(records[i], Wire::kRecordBytes + 17) << i;
  pair.to_client();
  EXPECT_TRUE(pair.client_reads() == sent);
}

TEST(Wire, RecordsAreAsLargeAsTheBurstIsToldAndNothingIsLostBetween) {
  const TestCertificate certificate("edge");
  std::string error;
  const auto context = make_tls_context(options_of(certificate), error);
  Pair pair(context.get());
  ASSERT_TRUE(pair.handshake());
  const std::string text(50'000, 'x');
  pair.wire.begin(pair.server(), Wire::kSmallBurstBytes, Wire::kEarlyRecordBytes);
  pair.wire.append(std::as_bytes(std::span(text.data(), 9)));
  pair.wire.append(std::as_bytes(std::span(text.data() + 9, text.size() - 9)));
  ASSERT_TRUE(pair.wire.finish());
  const auto records = records_of(pair.wire.output());
  ASSERT_EQ(records.size(), 13u);
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(records[i], Wire::kEarlyRecordBytes + 17) << i;
  pair.to_client();
  EXPECT_TRUE(pair.client_reads() == text);
}

TEST(Wire, CleartextGoesOutAsItIs) {
  Wire wire;
  wire.begin(nullptr, 10);
  EXPECT_EQ(wire.room(), 10u);
  wire.append(std::as_bytes(std::span("hello", 5)));
  EXPECT_FALSE(wire.full());
  wire.append(std::as_bytes(std::span(" world", 6)));
  EXPECT_TRUE(wire.full());
  EXPECT_EQ(wire.room(), 0u);
  ASSERT_TRUE(wire.finish());
  EXPECT_EQ(std::memcmp(wire.output().data(), "hello world", 11), 0);
  wire.reset();
  EXPECT_TRUE(wire.output().empty());
}

TEST(Wire, ABurstThatIsFarTooLongFailsInsteadOfOverflowing) {
  Wire wire;
  wire.begin(nullptr, Wire::kBurstBytes);
  const std::vector<std::byte> block(Wire::kBurstBytes);
  wire.append(block);
  wire.append(block);
  EXPECT_FALSE(wire.finish());
}

TEST(BurstLimit, LeavesLittleOfWhatAPeerThatDoesNotReadIsSent) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0), peer = ::socket(AF_INET, SOCK_STREAM, 0);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_TRUE(::bind(listener, generic, length) == 0 && ::listen(listener, 1) == 0);
  ASSERT_EQ(::getsockname(listener, generic, &length), 0);
  const int window = 4096;
  setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
  ASSERT_EQ(::connect(peer, generic, length), 0);
  const int ours = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
  limit_unsent(ours);

  EXPECT_EQ(burst_limit(ours, 0), 2 * Wire::kSmallBurstBytes);
  EXPECT_EQ(burst_limit(ours, 10 << 20), Wire::kSmallBurstBytes + kUnsentBytes);
  EXPECT_EQ(burst_limit(ours, 10 << 20, kFastUnsentBytes), Wire::kBurstBytes);
  const std::vector<std::byte> bytes(Wire::kBurstBytes);
  ssize_t sent = 0;
  size_t asked = 0, total = 0;
  do {
    asked = burst_limit(ours, total);
    sent = ::send(ours, bytes.data(), asked, MSG_NOSIGNAL);
    total += sent > 0 ? static_cast<size_t>(sent) : 0;
  } while (sent == static_cast<ssize_t>(asked));
  EXPECT_LE(asked - (sent > 0 ? static_cast<size_t>(sent) : 0), Wire::kSmallBurstBytes);
  EXPECT_LT(total, 512u * 1024);
  EXPECT_EQ(burst_limit(-1, 0), Wire::kSmallBurstBytes);
  ::close(ours);
  ::close(peer);
  ::close(listener);
}

}  // namespace
}  // namespace entrepot::io
