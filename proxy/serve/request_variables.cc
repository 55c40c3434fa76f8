#include "proxy/serve/request_variables.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "proxy/config/pattern.h"
#include "proxy/config/routing.h"
#include "proxy/serve/forwarding.h"
#include "resolver/stored_response.h"
#include "resolver/text.h"

namespace entrepot::serve {

namespace {

std::string_view protocol_name(http::Version version) {
  switch (version) {
    case http::Version::kHttp10:
      return "HTTP/1.0";
    case http::Version::kHttp11:
      return "HTTP/1.1";
    case http::Version::kHttp2:
      return "HTTP/2.0";
  }
  return {};
}

enum class TimeFormat : uint8_t { kLocal, kIso8601 };

// Formatted once a second: strftime() looks at the machine's time zone each time.
std::string_view formatted_time(TimeFormat format) {
  struct Formatted {
    std::time_t at = -1;
    char text[64];
    size_t size = 0;
  };
  static constexpr const char* kFormats[] = {"%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%dT%H:%M:%S%z"};
  static thread_local Formatted formatted[std::size(kFormats)];
  const auto which = static_cast<size_t>(format);
  Formatted& one = formatted[which];
  const std::time_t now = std::time(nullptr);
  if (one.at != now) {
    std::tm local{};
    localtime_r(&now, &local);
    one.size = std::strftime(one.text, sizeof(one.text), kFormats[which], &local);
    one.at = now;
  }
  return {one.text, one.size};
}

std::string seconds_since(io::Clock::time_point start) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(io::Clock::now() - start).count();
  char text[32];
  return std::string(
      text, static_cast<size_t>(std::snprintf(text, sizeof(text), "%ld.%03ld", static_cast<long>(ms / 1000),
                                              static_cast<long>(ms % 1000))));
}

std::string seconds_of_day() {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                      std::chrono::system_clock::now().time_since_epoch())
                      .count();
  char text[40];
  return std::string(text, static_cast<size_t>(std::snprintf(text, sizeof(text), "%lld.%03d",
                                                             static_cast<long long>(ms / 1000),
                                                             static_cast<int>(ms % 1000))));
}

// http_user_agent names the field user-agent.
std::string field_name(std::string_view argument) {
  std::string name(argument);
  for (char& c : name) {
    if (c == '_') c = '-';
  }
  return name;
}

// Of Basic credentials (RFC 7617); empty: there are none.
std::string user_of(std::string_view authorization) {
  constexpr std::string_view kBasic = "basic ";
  if (!resolver::equals_ignoring_case(authorization.substr(0, kBasic.size()), kBasic)) return {};
  const std::string_view text = resolver::trimmed(authorization.substr(kBasic.size()));
  std::string decoded(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  decoded.resize(static_cast<size_t>(size));
  const size_t colon = decoded.find(':');
  return colon == std::string::npos ? std::string() : decoded.substr(0, colon);
}

// Of this end of the socket.
std::string local_address(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  char text[INET6_ADDRSTRLEN] = "";
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  if (address.ss_family == AF_INET)
    return inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof(text));
  if (address.ss_family == AF_INET6)
    return inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text, sizeof(text));
  return "unix:";
}

bool append_some(std::string& out, std::string_view value) {
  out.append(value);
  return !value.empty();
}

}  // namespace

std::string_view host_of(const http::Request& request, const config::Server& server, std::string& lowered) {
  std::string_view host = request.authority;
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos)
    host = host.substr(0, colon);
  if (host.empty()) return server.names.empty() ? std::string_view() : std::string_view(server.names.front());
  lowered.assign(host);
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lowered;
}

bool RequestVariables::append(uint16_t id, std::string_view argument, std::string& out) const {
  using namespace config;
  switch (id) {
    case kVarCapture:
      return append_group(argument, out);
    case kVarHttpField:
    case kVarSentHttpField:
    case kVarUpstreamHttpField:
    case kVarArg:
    case kVarCookie:
      return append_family(id, argument, out);
    case kVarStatus:
    case kVarBodyBytesSent:
    case kVarBytesSent:
    case kVarRequestTime:
    case kVarUpstreamAddr:
    case kVarUpstreamStatus:
    case kVarUpstreamResponseTime:
    case kVarUpstreamCacheStatus:
    case kVarTimeLocal:
    case kVarTimeIso8601:
    case kVarMsec:
      return append_response(id, out);
    case kVarRealipRemoteAddr:
    case kVarProxyProtocolAddr:
    case kVarProxyProtocolPort:
    case kVarConnection:
    case kVarConnectionRequests:
    case kVarSslProtocol:
    case kVarSslCipher:
    case kVarSslServerName:
    case kVarServerAddr:
      return append_connection(id, out);
    default:
      return append_request(id, out);
  }
}

bool RequestVariables::append_request(uint16_t id, std::string& out) const {
  using namespace config;
  const http::Request& request = stream_.request();
  switch (id) {
    case kVarScheme:
      return append_some(out, request.secure ? "https" : "http");
    case kVarHost: {
      std::string lowered;
      return append_some(out, host_of(request, *place_.server, lowered));
    }
    case kVarHttpHost:
      return append_some(out, request.authority);
    case kVarRequestUri:
      return append_some(out, stream_.sent_target());
    case kVarUri:
      return append_some(out, path_.path());
    case kVarArgs:
    case kVarQueryString:
      return append_some(out, path_.args);
    case kVarIsArgs:
      return append_some(out, path_.args.empty() ? "" : "?");
    case kVarRequestMethod:
      return append_some(out, request.method_text);
    case kVarServerProtocol:
      return append_some(out, protocol_name(request.version));
    case kVarRequest:
      out.append(request.method_text)
          .append(" ")
          .append(stream_.sent_target())
          .append(" ")
          .append(protocol_name(request.version));
      return true;
    case kVarRemoteAddr:
      return append_some(out, stream_.remote_address());
    case kVarServerName:
      return append_some(out, place_.server->names.empty() ? "" : place_.server->names.front());
    case kVarServerPort:
      return append_some(out, std::to_string(stream_.local_port()));
    case kVarProxyHost:
      return place_.pass && append_some(out, place_.pass->host);
    case kVarProxyPort: {
      if (!place_.pass) return false;
      const std::string& host = place_.pass->host;
      const size_t colon = host.rfind(':');
      if (colon != std::string::npos && host.find(']', colon) == std::string::npos)
        return append_some(out, host.substr(colon + 1));
      return append_some(out, place_.pass->https ? "443" : "80");
    }
    case kVarProxyAddXForwardedFor: {
      if (const auto before = request.field("x-forwarded-for"); !before.empty())
        out.append(before).append(", ");
      return append_some(out, stream_.remote_address());
    }
    case kVarRemoteUser:
      return append_some(out, user_of(request.field("authorization")));
    case kVarRequestLength:
      return append_some(out, std::to_string(stream_.request_bytes()));
    case kVarRequestId:
      return append_some(out, stream_.request_id());
    case kVarTraceId:
      return append_some(out, trace_id(request.field("traceparent")));
    case kVarContentLength:
      return append_some(out, request.field("content-length"));
    case kVarContentType:
      return append_some(out, request.field("content-type"));
    case kVarForwardedElement:
      return append_some(out,
                         forwarded_element(stream_.remote_address(), request.authority, request.secure));
    case kVarHttps:
      return append_some(out, request.secure ? "on" : "");
    case kVarDocumentRoot:
      return append_document_root(out);
    case kVarRequestFilename:
      return append_some(out, place_.root + file_below(stream_, place_, path_));
    case kVarPid:
      return append_some(out, std::to_string(::getpid()));
    case kVarHostname: {
      char name[256] = {};
      ::gethostname(name, sizeof(name) - 1);
      return append_some(out, name);
    }
    default:
      return false;
  }
}

bool RequestVariables::append_response(uint16_t id, std::string& out) const {
  using namespace config;
  switch (id) {
    case kVarStatus:
      return append_some(out, std::to_string(stream_.status()));
    case kVarBodyBytesSent:
      return append_some(out, std::to_string(stream_.body_bytes_sent()));
    case kVarBytesSent:
      return append_some(out, std::to_string(stream_.head_bytes_sent() + stream_.body_bytes_sent()));
    case kVarUpstreamStatus:
      return stream_.upstream_status != 0 && append_some(out, std::to_string(stream_.upstream_status));
    case kVarUpstreamResponseTime:
      return stream_.upstream_asked != io::Clock::time_point{} &&
             append_some(out, seconds_since(stream_.upstream_asked));
    case kVarRequestTime:
      return append_some(out, seconds_since(stream_.started()));
    case kVarUpstreamAddr:
      return append_some(out, stream_.upstream_note);
    case kVarUpstreamCacheStatus:
      return append_some(out, stream_.cache_status);
    case kVarTimeLocal:
      return append_some(out, formatted_time(TimeFormat::kLocal));
    case kVarTimeIso8601:
      return append_some(out, formatted_time(TimeFormat::kIso8601));
    case kVarMsec:
      return append_some(out, seconds_of_day());
    default:
      return false;
  }
}

bool RequestVariables::append_connection(uint16_t id, std::string& out) const {
  using namespace config;
  const http::ConnectionFacts* facts = stream_.connection();
  if (!facts) return false;
  switch (id) {
    case kVarRealipRemoteAddr:
      return append_some(out, facts->address);
    case kVarProxyProtocolAddr:
      return append_some(out, facts->proxied_address);
    case kVarProxyProtocolPort:
      return !facts->proxied_address.empty() && append_some(out, std::to_string(facts->proxied_port));
    case kVarConnection:
      return append_some(out, std::to_string(facts->serial));
    case kVarConnectionRequests:
      return append_some(out, std::to_string(facts->requests));
    case kVarSslProtocol:
      return append_some(out, facts->tls_protocol);
    case kVarSslCipher:
      return append_some(out, facts->tls_cipher);
    case kVarSslServerName:
      return append_some(out, facts->server_name);
    case kVarServerAddr:
      return append_some(out, local_address(facts->fd));
    default:
      return false;
  }
}

bool RequestVariables::append_family(uint16_t id, std::string_view argument, std::string& out) const {
  const http::Request& request = stream_.request();
  if (id == config::kVarHttpField) {
    const std::string name = field_name(argument);
    return append_some(out, name == "host" && !request.has("host") ? request.authority : request.field(name));
  }
  if (id == config::kVarSentHttpField) {
    for (const auto& field : stream_.sent_fields()) {
      if (field.name == field_name(argument)) return append_some(out, field.value);
    }
    return false;
  }
  if (id == config::kVarUpstreamHttpField)
    return stream_.upstream_fields &&
           append_some(out, resolver::find(*stream_.upstream_fields, field_name(argument)));
  const bool cookie = id == config::kVarCookie;
  std::string_view rest = cookie ? request.field("cookie") : path_.args;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(cookie ? ';' : '&'), rest.size());
    std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (cookie) pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) == argument)
      return append_some(out, pair.substr(std::min(equals + 1, pair.size())));
  }
  return false;
}

// What the innermost expression matched, the location's or else that of the server's name; names of groups
// are found in those around it, too. It is matched again where somebody asks: few do.
bool RequestVariables::append_group(std::string_view group, std::string& out) const {
  const bool by_number = group.front() >= '0' && group.front() <= '9';
  if (place_.location) {
    const auto& matched = place_.location->matched;
    for (auto pattern = matched.rbegin(); pattern != matched.rend(); ++pattern) {
      if ((*pattern)->append_group(path_.path(), group, out)) return true;
      if (by_number) return false;
    }
  }
  std::string lowered;
  const std::string_view host = host_of(stream_.request(), *place_.server, lowered);
  for (const auto& pattern : place_.server->name_patterns) {
    if (pattern->matches(host)) return pattern->append_group(host, group, out);
  }
  return false;
}

bool RequestVariables::append_document_root(std::string& out) const {
  out.append(place_.root);
  if (place_.files && !place_.files->rest.empty()) {
    out.push_back('/');
    place_.files->rest.expand(*this, out);
  }
  return !place_.root.empty();
}

std::optional<std::string> upstream_target(const http::Stream& stream, const Place& place, const RequestPath& path) {
  if (!place.pass->variable_uri)
    return config::upstream_path(*place.location, *place.pass, stream.request().target);
  return config::variable_target(*place.pass->variable_uri, RequestVariables(stream, place, path));
}

std::string file_below(const http::Stream& stream, const Place& place, const RequestPath& path) {
  const std::string_view whole = path.path();
  if (place.repository) return config::path_within(*place.location, whole);
  if (!place.files || (place.files->rest.empty() && !place.files->skipped)) return std::string(whole);
  std::string out = "/";
  place.files->rest.expand(RequestVariables(stream, place, path), out);
  return out.append(whole.substr(std::min(place.files->skipped.value_or(0), whole.size())));
}

}  // namespace entrepot::serve
