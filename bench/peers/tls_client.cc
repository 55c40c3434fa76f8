// Connections by the thousand, for what a load generator does not do: handshakes one after the other, full or
// resumed, connections that are idle, and clients that ask and do not read.
//   tls_client PORT NAME full|resumed COUNT         one JSON line: {"handshakes": N, "resumed": N}
//   tls_client PORT NAME idle|stalled COUNT PATH    "ready" when all stand; ends with its standard input
// HTTP/2 for the latter two; those that are stalled have asked for PATH, with all the window there is, and a socket
// that takes little.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace std::string_literals;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "tls_client: %s\n", what);
  ERR_print_errors_fp(stderr);
  std::exit(1);
}

struct Connection {
  int fd = -1;
  SSL* ssl = nullptr;
  void close() {
    if (ssl) SSL_free(ssl);
    if (fd >= 0) ::close(fd);
    *this = {};
  }
};

class Client {
 public:
  Client(int port, std::string name, const char* protocol) : port_(port), name_(std::move(name)) {
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(context_, "X25519");
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    const std::string alpn = std::string(1, static_cast<char>(std::strlen(protocol))) + protocol;
    SSL_CTX_set_alpn_protos(context_, reinterpret_cast<const unsigned char*>(alpn.data()),
                            static_cast<unsigned>(alpn.size()));
  }
  ~Client() { SSL_CTX_free(context_); }
  Client(const Client&) = delete;

  Connection connect(SSL_SESSION* session, int receive_buffer) {
    Connection made;
    made.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
      ::setsockopt(made.fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    const int on = 1;
    ::setsockopt(made.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port_));
    if (::connect(made.fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) fail("connect");
    made.ssl = SSL_new(context_);
    SSL_set_tlsext_host_name(made.ssl, name_.c_str());
    SSL_set_fd(made.ssl, made.fd);
    if (session) SSL_set_session(made.ssl, session);
    if (SSL_connect(made.ssl) != 1) fail("handshake");
    return made;
  }

  // A session that may be used again: its ticket comes behind the handshake, before the first answer.
  SSL_SESSION* session() {
    Connection first = connect(nullptr, 0);
    const std::string request = "GET /1k HTTP/1.1\r\nHost: " + name_ + "\r\n\r\n";
    SSL_write(first.ssl, request.data(), static_cast<int>(request.size()));
    char answer[8192];
    if (SSL_read(first.ssl, answer, sizeof(answer)) <= 0) fail("no answer");
    SSL_SESSION* const session = SSL_get1_session(first.ssl);
    SSL_set_shutdown(first.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    first.close();
    if (!SSL_SESSION_is_resumable(session)) fail("no ticket");
    return session;
  }

  const std::string& name() const { return name_; }

 private:
  int port_;
  std::string name_;
  SSL_CTX* context_;
};

void handshakes(Client& client, int count, bool resumed) {
  int reused = 0;
  SSL_SESSION* const session = resumed ? client.session() : nullptr;
  for (int i = 0; i < count; ++i) {
    SSL_SESSION* const own = session ? SSL_SESSION_dup(session) : nullptr;  // OpenSSL uses each one once
    Connection made = client.connect(own, 0);
    reused += SSL_session_reused(made.ssl);
    made.close();
    SSL_SESSION_free(own);
  }
  std::printf("{\"handshakes\": %d, \"resumed\": %d}\n", count, reused);
}

std::string frame(char type, char flags, char stream, const std::string& payload) {
  return "\0\0"s + static_cast<char>(payload.size()) + type + flags + "\0\0\0"s + stream + payload;
}

std::string text(const std::string& value) { return static_cast<char>(value.size()) + value; }

// RFC 9113, by hand: SETTINGS with the largest window, the connection's window as large, and a GET.
std::string opening(const std::string& name, const std::string& path, bool asks) {
  std::string out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, "\0\4\x7f\xff\xff\xff"s);
  if (!asks) return out;
  out += frame(8, 0, 0, "\x7f\xff\0\0"s);
  return out + frame(1, 5, 1, "\x82\x87\4"s + text(path) + "\1"s + text(name));
}

void hold(Client& client, int count, const std::string& path, bool asks) {
  std::vector<Connection> held;
  for (int i = 0; i < count; ++i) {
    held.push_back(client.connect(nullptr, asks ? 4096 : 0));
    const std::string sent = opening(client.name(), path, asks);
    char first[64];
    if (SSL_write(held.back().ssl, sent.data(), static_cast<int>(sent.size())) <= 0) fail("write");
    if (SSL_read(held.back().ssl, first, sizeof(first)) <= 0) fail("no SETTINGS");
  }
  std::printf("ready\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) continue;
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) fail("usage: PORT NAME full|resumed|idle|stalled COUNT [PATH]");
  const std::string mode = argv[3], path = argc > 5 ? argv[5] : "/";
  const bool holds = mode == "idle" || mode == "stalled";
  Client client(std::atoi(argv[1]), argv[2], holds ? "h2" : "http/1.1");
  if (holds) {
    hold(client, std::atoi(argv[4]), path, mode == "stalled");
  } else {
    handshakes(client, std::atoi(argv[4]), mode == "resumed");
  }
}
