#include "proxy/config/variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace entrepot::config {

namespace {

struct Known {
  std::string_view name;
  uint16_t id;
};
constexpr Known kVariables[] = {
    {"scheme", kVarScheme},
    {"host", kVarHost},
    {"request_uri", kVarRequestUri},
    {"uri", kVarUri},
    {"document_uri", kVarUri},
    {"args", kVarArgs},
    {"is_args", kVarIsArgs},
    {"query_string", kVarQueryString},
    {"request_method", kVarRequestMethod},
    {"server_protocol", kVarServerProtocol},
    {"request", kVarRequest},
    {"remote_addr", kVarRemoteAddr},
    {"remote_user", kVarRemoteUser},
    {"server_name", kVarServerName},
    {"server_port", kVarServerPort},
    {"server_addr", kVarServerAddr},
    {"proxy_host", kVarProxyHost},
    {"proxy_port", kVarProxyPort},
    {"proxy_add_x_forwarded_for", kVarProxyAddXForwardedFor},
    {"status", kVarStatus},
    {"body_bytes_sent", kVarBodyBytesSent},
    {"bytes_sent", kVarBytesSent},
    {"request_time", kVarRequestTime},
    {"request_length", kVarRequestLength},
    {"time_local", kVarTimeLocal},
    {"time_iso8601", kVarTimeIso8601},
    {"msec", kVarMsec},
    {"upstream_addr", kVarUpstreamAddr},
    {"upstream_status", kVarUpstreamStatus},
    {"upstream_response_time", kVarUpstreamResponseTime},
    {"upstream_cache_status", kVarUpstreamCacheStatus},
    {"https", kVarHttps},
    {"ssl_protocol", kVarSslProtocol},
    {"ssl_cipher", kVarSslCipher},
    {"connection", kVarConnection},
    {"entrepot_version", kVarEntrepotVersion},
    {"hostname", kVarHostname},
    {"pid", kVarPid},
    {"slice_range", kVarSliceRange},
    {"request_filename", kVarRequestFilename},
    {"document_root", kVarDocumentRoot},
    {"realip_remote_addr", kVarRealipRemoteAddr},
    {"proxy_protocol_addr", kVarProxyProtocolAddr},
    {"proxy_protocol_port", kVarProxyProtocolPort},
    {"request_id", kVarRequestId},
    {"trace_id", kVarTraceId},
    {"connection_requests", kVarConnectionRequests},
    {"content_length", kVarContentLength},
    {"content_type", kVarContentType},
    {"ssl_server_name", kVarSslServerName},
    {"proxy_forwarded_elem", kVarForwardedElement},
};
constexpr Known kFamilies[] = {{"http_", kVarHttpField},
                               {"sent_http_", kVarSentHttpField},
                               {"upstream_http_", kVarUpstreamHttpField},
                               {"arg_", kVarArg},
                               {"cookie_", kVarCookie}};

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// A variable as the text names it, after its '$'. Letters of both cases are the same.
struct Named {
  std::string name;
  size_t end = 0;  // in the text
  std::string error;
};

Named read_name(std::string_view text, size_t dollar) {
  const bool braces = text.substr(dollar + 1).starts_with('{');
  const size_t begin = dollar + (braces ? 2 : 1);
  size_t end = begin;
  while (end < text.size() && is_name(text[end])) ++end;
  Named out{lower(text.substr(begin, end - begin)), end + (braces ? 1 : 0), ""};
  if (braces && (end >= text.size() || text[end] != '}')) {
    out.error = fmt::format("the closing bracket in \"{}\" variable is missing", out.name);
  } else if (out.name.empty()) {
    out.error = "invalid variable name";
  }
  return out;
}

const Known* find_variable(std::string_view name) {
  const auto is_it = [name](const Known& known) { return known.name == name; };
  const auto found = std::find_if(std::begin(kVariables), std::end(kVariables), is_it);
  return found == std::end(kVariables) ? nullptr : found;
}

const Known* find_family(std::string_view name) {
  const auto is_it = [name](const Known& known) {
    return name.starts_with(known.name) && name.size() > known.name.size();
  };
  const auto found = std::find_if(std::begin(kFamilies), std::end(kFamilies), is_it);
  return found == std::end(kFamilies) ? nullptr : found;
}

}  // namespace

std::optional<Template> Template::compile(std::string_view text, std::string& error,
                                          const std::set<std::string>& groups) {
  Template out;
  out.source_ = text;
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '$') {
      const size_t dollar = std::min(text.find('$', at), text.size());
      out.pieces_.push_back({false, 0, std::string(text.substr(at, dollar - at))});
      at = dollar;
      continue;
    }
    if (const char digit = at + 1 < text.size() ? text[at + 1] : '\0'; digit >= '1' && digit <= '9') {
      out.pieces_.push_back({true, kVarCapture, std::string(1, digit)});
      at += 2;
      continue;
    }
    const Named named = read_name(text, at);
    error = named.error;
    if (!error.empty()) return std::nullopt;
    at = named.end;
    if (const Known* variable = find_variable(named.name)) {
      out.pieces_.push_back({true, variable->id, ""});
    } else if (const Known* family = find_family(named.name)) {
      out.pieces_.push_back({true, family->id, named.name.substr(family->name.size())});
    } else if (groups.contains(named.name)) {
      out.pieces_.push_back({true, kVarCapture, named.name});
    } else {
      error = fmt::format("unknown \"{}\" variable", named.name);
      return std::nullopt;
    }
  }
  return out;
}

Template Template::literal(std::string text) {
  Template out;
  out.source_ = text;
  if (!text.empty()) out.pieces_.push_back({false, 0, std::move(text)});
  return out;
}

void Template::append(Template other) {
  source_ += other.source_;
  pieces_.insert(pieces_.end(), std::make_move_iterator(other.pieces_.begin()),
                 std::make_move_iterator(other.pieces_.end()));
}

bool Template::is_literal() const noexcept {
  return std::none_of(pieces_.begin(), pieces_.end(), [](const Piece& piece) { return piece.is_variable; });
}

bool Template::uses(Variable variable) const noexcept {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [variable](const Piece& piece) { return piece.is_variable && piece.id == variable; });
}

void Template::expand(const VariableSource& variables, std::string& out) const {
  for (const Piece& piece : pieces_) {
    if (piece.is_variable) {
      variables.append(piece.id, piece.text, out);
    } else {
      out.append(piece.text);
    }
  }
}

}  // namespace entrepot::config
