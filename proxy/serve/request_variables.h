// The variables of the conf over one request.
#pragma once

#include <optional>
#include <string>

#include "proxy/config/variables.h"
#include "proxy/http/stream.h"
#include "proxy/serve/request_path.h"
#include "proxy/serve/site.h"

namespace entrepot::serve {

// The name that a request is for, lower case, without port: authority, else the server's first name. nginx's
// $host.
std::string_view host_of(const http::Request& request, const config::Server& server, std::string& lowered);

// Of a place that asks an upstream without a repository: what it asks for. Empty: nothing that may be asked for.
std::optional<std::string> upstream_target(const http::Stream& stream, const Place& place, const RequestPath& path);
// The file that a place means, as a path below place.root.
std::string file_below(const http::Stream& stream, const Place& place, const RequestPath& path);

class RequestVariables final : public config::VariableSource {
 public:
  RequestVariables(const http::Stream& stream, const Place& place, const RequestPath& path)
      : stream_(stream), place_(place), path_(path) {}
  bool append(uint16_t id, std::string_view argument, std::string& out) const override;

 private:
  bool append_request(uint16_t id, std::string& out) const;
  bool append_response(uint16_t id, std::string& out) const;
  bool append_connection(uint16_t id, std::string& out) const;
  bool append_document_root(std::string& out) const;
  bool append_group(std::string_view group, std::string& out) const;
  bool append_family(uint16_t id, std::string_view argument, std::string& out) const;

  const http::Stream& stream_;
  const Place& place_;
  const RequestPath& path_;
};

}  // namespace entrepot::serve
