// AdminServer: the operators' side, on a listener of its own and never on the data port.
//
//   /livez     200 while every loop ticks, else 503: start the process again
//   /readyz    200 while it takes requests, else 503: send them elsewhere (it drains, or does not live)
//   /metrics   all counters, in Prometheus' text format
//   /explain   ?url=U[&accept=A], percent-encoded: what U is to this edge, what is stored of it and why, as
//   JSON;
//              400 without a URL, 404 where no server has it
//   /purge     POST: what is stored of URLs, prefixes, tags, a repository, a zone, a digest is gone, or stale
//              (purge_request.h): JSON; 400, 404, 503 with a problem. A browser's (it has Origin) is refused, 403
//
// It runs on a thread of its own, so that it answers when the workers do not.
#pragma once

#include <memory>
#include <string>

#include "proxy/edge.h"

namespace entrepot::admin {

class AdminServer {
 public:
  // Answers from the moment it is made until it is destroyed. `fd` is a listening socket and stays the
  // caller's. Null where the system refuses (out of descriptors). REQUIRES: `edge` outlives it.
  static std::unique_ptr<AdminServer> start(int fd, Edge& edge, std::string version);
  ~AdminServer();  // closes its connections
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

 private:
  struct Server;
  explicit AdminServer(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace entrepot::admin
