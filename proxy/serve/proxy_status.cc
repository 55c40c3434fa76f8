#include "proxy/serve/proxy_status.h"

#include <algorithm>

namespace entrepot::serve {

namespace {

constexpr size_t kMaxDetailBytes = 256;

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text.substr(0, kMaxDetailBytes)) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c >= ' ' && c < 0x7f ? c : '?');
  }
  out.push_back('"');
}

}  // namespace

std::string_view proxy_error_of(Error error, std::string_view trouble) noexcept {
  const bool connecting = trouble.starts_with("connect to ");
  switch (error) {
    case Error::kConnect:
      if (trouble.starts_with("resolve ")) return "dns_error";
      if (has(trouble, "is no public address") || has(trouble, "has no public address"))
        return "destination_ip_prohibited";
      if (has(trouble, "refused")) return "connection_refused";
      if (has(trouble, "timed out")) return "connection_timeout";
      if (has(trouble, "nreachable")) return "destination_ip_unroutable";
      return "destination_unavailable";
    case Error::kTls:
      if (has(trouble, "alert")) return "tls_alert_received";
      return has(trouble, "ertificate") ? "tls_certificate_error" : "tls_protocol_error";
    case Error::kTimeout:
      if (trouble.starts_with("resolve ")) return "dns_timeout";
      return connecting ? "connection_timeout" : "http_response_timeout";
    case Error::kReset:
    case Error::kLengthMismatch:
      return "http_response_incomplete";
    case Error::kProtocol:
    case Error::kBadStatus:
    case Error::kDigestMismatch:
    case Error::kValidatorChanged:
    case Error::kNotCombinable:
      return "http_protocol_error";
    case Error::kTooLarge:
      return "http_response_body_size";
    default:
      return "proxy_internal_error";
  }
}

std::string proxy_status(std::string_view error, int received_status, std::string_view next_hop,
                         std::string_view details) {
  std::string text = "entrepot";
  if (!error.empty()) text.append("; error=").append(error);
  if (received_status != 0) text.append("; received-status=").append(std::to_string(received_status));
  if (!next_hop.empty()) append_string(text.append("; next-hop="), next_hop);
  if (!details.empty()) append_string(text.append("; details="), details);
  return text;
}

}  // namespace entrepot::serve
