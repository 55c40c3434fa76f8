#include "proxy/admin/admin_server.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <unistd.h>

#include <future>
#include <map>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "proxy/admin/metrics.h"
#include "proxy/admin/purge_request.h"
#include "proxy/http/problem.h"
#include "proxy/io/loop.h"
#include "proxy/io/pool.h"

namespace entrepot::admin {

namespace {

constexpr int kIdleSeconds = 30;
constexpr size_t kMaxHeaderBytes = 16 << 10;
constexpr size_t kMaxBodyBytes = 64 << 10;
constexpr size_t kPurgesAtOnce = 4;  // each may wait for the disk for seconds

void answer(evhttp_request* request, int status, const char* reason, const char* type,
            std::string_view body) {
  evkeyvalq* const fields = evhttp_request_get_output_headers(request);
  evhttp_add_header(fields, "Content-Type", type);
  evhttp_add_header(fields, "Cache-Control", "no-store");
  evbuffer* const buffer = evbuffer_new();
  evhttp_add_header(fields, "Content-Length", std::to_string(body.size()).c_str());
  // libevent 2.1 would send the body of an answer to HEAD.
  if (evhttp_request_get_command(request) != EVHTTP_REQ_HEAD) evbuffer_add(buffer, body.data(), body.size());
  evhttp_send_reply(request, status, reason, buffer);
  evbuffer_free(buffer);
}

void answer_state(evhttp_request* request, bool good) {
  if (good) return answer(request, 200, "OK", "text/plain", "ok\n");
  answer(request, 503, "Service Unavailable", "text/plain", "no\n");
}

void refuse(evhttp_request* request, int status, const char* reason, std::string_view error,
            std::string_view detail) {
  answer(request, status, reason, "application/problem+json", http::problem_body(status, error, detail));
}

// A parameter of the query, decoded; empty where there is none.
std::string parameter(const evhttp_uri* uri, const char* name) {
  const char* const query = evhttp_uri_get_query(uri);
  evkeyvalq fields{};
  if (!query || evhttp_parse_query_str(query, &fields) != 0) return {};
  const char* const value = evhttp_find_header(&fields, name);
  std::string text = value ? value : "";
  evhttp_clear_headers(&fields);
  return text;
}

// Of the body; where there is none, of the query.
PurgeRequest purge_request(evhttp_request* request, const evhttp_uri* uri) {
  evbuffer* const body = evhttp_request_get_input_buffer(request);
  const char* const query = evhttp_uri_get_query(uri);
  if (const size_t size = evbuffer_get_length(body); size > 0) {
    if (query && *query) return {{}, "it has a body and a query: one of them is expected"};
    return read_purge_json({reinterpret_cast<const char*>(evbuffer_pullup(body, -1)), size});
  }
  evkeyvalq fields{};
  std::vector<std::pair<std::string, std::string>> parameters;
  if (query && *query && evhttp_parse_query_str(query, &fields) == 0) {
    for (const evkeyval* field = fields.tqh_first; field; field = field->next.tqe_next)
      parameters.emplace_back(field->key, field->value);
  }
  evhttp_clear_headers(&fields);
  return read_purge_query(parameters);
}

void answer_explain(evhttp_request* request, const evhttp_uri* uri, const Edge& edge) {
  const std::string url = parameter(uri, "url");
  if (url.empty()) return refuse(request, 400, "Bad Request", "no-url", "which URL? /explain?url=...");
  const Edge::Explained explained = edge.explain(url, parameter(uri, "accept"));
  if (!explained.error.empty()) return refuse(request, 404, "Not Found", "no-server", explained.error);
  answer(request, 200, "OK", "application/json", explained.json);
}

}  // namespace

struct AdminServer::Server {
  Server(Edge& served, std::string build) : edge(served), version(std::move(build)) {}
  ~Server() {
    if (thread.joinable()) {
      // Taken in the loop's thread, where purges begin: none does after it. What is queued ends, and is answered.
      std::promise<std::unique_ptr<io::Pool>> taken;
      loop.post([this, &taken] { taken.set_value(std::move(purging)); });
      taken.get_future().get().reset();
      loop.stop();
      thread.join();
    }
    if (http) evhttp_free(http);
  }

  bool listen(int fd) {
    http = evhttp_new(loop.base());
    const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (!http || own < 0) return false;
    // Methods that evhttp does not pass on it answers with 501; a 405 says that the path is right.
    evhttp_set_allowed_methods(http, 0xffff);
    evhttp_set_timeout(http, kIdleSeconds);
    evhttp_set_max_headers_size(http, kMaxHeaderBytes);
    evhttp_set_max_body_size(http, kMaxBodyBytes);
    evhttp_set_gencb(
        http, [](evhttp_request* request, void* self) { static_cast<Server*>(self)->on_request(request); },
        this);
    if (evhttp_accept_socket(http, own) == 0) return true;
    ::close(own);
    return false;
  }

  void on_request(evhttp_request* request) {
    const evhttp_uri* const uri = evhttp_request_get_evhttp_uri(request);
    const char* const path_text = uri ? evhttp_uri_get_path(uri) : nullptr;
    const std::string_view path = path_text ? path_text : "";
    if (path == "/purge") return on_purge(request, uri);
    if (path != "/metrics" && path != "/livez" && path != "/readyz" && path != "/explain")
      return answer(request, 404, "Not Found", "text/plain", "not found\n");
    if (!(evhttp_request_get_command(request) & (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD))) {
      evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
      return answer(request, 405, "Method Not Allowed", "text/plain", "only GET\n");
    }
    if (path == "/livez") return answer_state(request, edge.alive());
    if (path == "/readyz") return answer_state(request, edge.ready());
    if (path == "/explain") return answer_explain(request, uri, edge);
    answer(request, 200, "OK", kMetricsType, metrics_text(edge, version));
  }

  void on_purge(evhttp_request* request, const evhttp_uri* uri) {
    if (evhttp_request_get_command(request) != EVHTTP_REQ_POST) {
      evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "POST");
      return refuse(request, 405, "Method Not Allowed", "method", "only POST purges");
    }
    if (evhttp_find_header(evhttp_request_get_input_headers(request), "Origin"))
      return refuse(request, 403, "Forbidden", "origin", "a page in a browser purges nothing");
    if (!purging) return refuse(request, 503, "Service Unavailable", "ending", "the edge is about to end");
    PurgeRequest purge = purge_request(request, uri);
    if (!purge.error.empty()) return refuse(request, 400, "Bad Request", "malformed", purge.error);
    evhttp_connection* const connection = evhttp_request_get_connection(request);
    char* address = nullptr;
    uint16_t port = 0;
    evhttp_connection_get_peer(connection, &address, &port);
    const uint64_t ticket = ++last_ticket;
    waiting[ticket] = request;
    evhttp_connection_set_closecb(
        connection,
        [](evhttp_connection* closed, void* self) {
          std::erase_if(static_cast<Server*>(self)->waiting, [closed](const auto& entry) {
            return evhttp_request_get_connection(entry.second) == closed;
          });
        },
        this);
    purging->submit([this, ticket, order = std::move(purge.order), asker = std::string(address ? address : "?")] {
      Edge::Purged purged = edge.purge(order, asker);
      loop.post([this, ticket, purged = std::move(purged)] { answer_purge(ticket, purged); });
    });
  }

  // Who has gone meanwhile gets no answer; the purge is done all the same.
  void answer_purge(uint64_t ticket, const Edge::Purged& purged) {
    const auto found = waiting.find(ticket);
    if (found == waiting.end()) return;
    evhttp_request* const request = found->second;
    waiting.erase(found);
    if (purged.status == 200) return answer(request, 200, "OK", "application/json", purged.json);
    const std::string reason(http::reason_phrase(purged.status));
    refuse(request, purged.status, reason.c_str(), purged.status == 404 ? "not-found" : "not-purged", purged.error);
  }

  Edge& edge;
  const std::string version;
  io::Loop loop;
  uint64_t last_ticket = 0;
  std::map<uint64_t, evhttp_request*> waiting;  // for a purge; whose connections are open
  evhttp* http = nullptr;
  std::unique_ptr<io::Pool> purging = std::make_unique<io::Pool>(kPurgesAtOnce);  // null: about to end
  std::thread thread;
};

AdminServer::AdminServer(std::unique_ptr<Server> server) : server_(std::move(server)) {}
AdminServer::~AdminServer() = default;

std::unique_ptr<AdminServer> AdminServer::start(int fd, Edge& edge, std::string version) {
  auto server = std::make_unique<Server>(edge, std::move(version));
  if (!server->listen(fd)) return nullptr;
  server->thread = std::thread([&loop = server->loop] { loop.run(); });
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(server)));
}

}  // namespace entrepot::admin
