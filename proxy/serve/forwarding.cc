#include "proxy/serve/forwarding.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

#include "cache/digest.h"
#include "resolver/text.h"

namespace entrepot::serve {

namespace {

constexpr std::string_view kOurName = "entrepot";

std::optional<std::array<uint8_t, 16>> parse_address(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return std::nullopt;
  std::copy(text.begin(), text.end(), terminated.begin());
  std::array<uint8_t, 16> address{};
  if (inet_pton(AF_INET6, terminated.data(), address.data()) == 1) return address;
  address.fill(0);
  address[10] = address[11] = 0xff;
  if (inet_pton(AF_INET, terminated.data(), &address[12]) == 1) return address;
  return std::nullopt;
}

// An address as we write it everywhere; empty: it is none. "192.0.2.1:80", "[::1]:80" and "[::1]" lose what
// is not the address.
std::string address_in(std::string_view text) {
  text = resolver::trimmed(text);
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return {};
    text = text.substr(1, end - 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    text = text.substr(0, text.find(':'));
  }
  const auto address = parse_address(text);
  if (!address) return {};
  std::array<char, INET6_ADDRSTRLEN> out{};
  constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const bool v4 = std::equal(kMapped.begin(), kMapped.end(), address->begin());
  inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? address->data() + 12 : address->data(), out.data(), out.size());
  return out.data();
}

std::string unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  std::string out;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size()) ++i;
    out.push_back(text[i]);
  }
  return out;
}

// The node of a Forwarded element's "for"; empty: it has none.
std::string forwarded_for(std::string_view element) {
  while (!element.empty()) {
    size_t end = 0;
    bool quoted = false;
    for (; end < element.size() && (quoted || element[end] != ';'); ++end) {
      if (element[end] == '"') quoted = !quoted;
      if (quoted && element[end] == '\\') ++end;
    }
    end = std::min(end, element.size());
    const std::string_view pair = resolver::trimmed(element.substr(0, end));
    element.remove_prefix(std::min(end + 1, element.size()));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && resolver::equals_ignoring_case(pair.substr(0, equals), "for"))
      return unquoted(pair.substr(equals + 1));
  }
  return {};
}

// Addresses as the proxies before us tell them, the first client first.
std::vector<std::string> addresses_in(const http::Request& request, std::string_view name) {
  std::vector<std::string> addresses;
  for (const auto& field : request.fields) {
    if (field.name != name) continue;
    std::string_view list = field.value, element;
    while (resolver::next_element(list, element)) {
      if (!element.empty())
        addresses.push_back(address_in(name == "forwarded" ? forwarded_for(element) : std::string(element)));
    }
  }
  return addresses;
}

// How often a list has an element that begins with the name.
size_t count_named(const http::Request& request, std::string_view field_name, bool has_protocol) {
  size_t count = 0;
  for (const auto& field : request.fields) {
    if (field.name != field_name) continue;
    std::string_view list = field.value, element;
    while (resolver::next_element(list, element)) {
      if (has_protocol) element = resolver::trimmed(element.substr(std::min(element.find(' '), element.size())));
      const size_t end = std::min(element.find_first_of("; \t"), element.size());
      count += element.substr(0, end) == kOurName ? 1 : 0;
    }
  }
  return count;
}

}  // namespace

std::string appended(const http::Request& request, std::string_view name, std::string_view own) {
  std::string list;
  for (const auto& field : request.fields) {
    if (field.name == name && !field.value.empty()) list.append(field.value).append(", ");
  }
  return list.append(own);
}

std::string_view via_element(http::Version version) noexcept {
  switch (version) {
    case http::Version::kHttp10:
      return "1.0 entrepot";
    case http::Version::kHttp11:
      return "1.1 entrepot";
    case http::Version::kHttp2:
      break;
  }
  return "2.0 entrepot";
}

std::string loop_element(std::string_view conf_file, std::string_view server_name) {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string identity(host.data());
  identity.append("\n").append(conf_file).append("\n").append(server_name);
  const std::string id = sha256(std::as_bytes(std::span(identity))).hex().substr(0, 16);
  return std::string(kOurName).append("; id=\"").append(id).append("\"");
}

bool is_loop(const http::Request& request, std::string_view own) {
  for (const auto& field : request.fields) {
    if (field.name != "cdn-loop") continue;
    std::string_view list = field.value, element;
    while (resolver::next_element(list, element)) {
      // With or without spaces between the parameters: who combined the list may have changed them.
      const size_t id = own.find('"');
      if (element.starts_with(kOurName) && element.find(own.substr(id)) != std::string_view::npos) return true;
    }
  }
  return count_named(request, "cdn-loop", false) >= kMaxHops || count_named(request, "via", true) >= kMaxHops;
}

bool is_trusted(std::span<const config::Cidr> networks, std::string_view address) noexcept {
  if (address == "unix:")
    return std::any_of(networks.begin(), networks.end(), [](const auto& cidr) { return cidr.is_unix; });
  const auto bytes = parse_address(address);
  return bytes && std::any_of(networks.begin(), networks.end(), [&bytes](const config::Cidr& cidr) {
           if (cidr.is_unix) return false;
           const size_t whole = cidr.prefix_bits / 8, rest = cidr.prefix_bits % 8;
           if (!std::equal(bytes->begin(), bytes->begin() + static_cast<std::ptrdiff_t>(whole),
                           cidr.address.begin()))
             return false;
           return rest == 0 || ((*bytes)[whole] ^ cidr.address[whole]) >> (8 - rest) == 0;
         });
}

std::string client_address(const http::Request& request, const config::Shared& conf, std::string_view peer,
                           std::string_view proxied) {
  if (conf.real_ip_from.empty() || !is_trusted(conf.real_ip_from, peer)) return {};
  if (conf.real_ip_header == "proxy_protocol") return std::string(proxied);
  const std::vector<std::string> addresses = addresses_in(request, conf.real_ip_header);
  std::string found;
  for (auto at = addresses.rbegin(); at != addresses.rend(); ++at) {
    if (at->empty()) break;  // who stands before it is not told
    found = *at;
    if (!conf.real_ip_recursive || !is_trusted(conf.real_ip_from, found)) break;
  }
  return found;
}

std::string forwarded_element(std::string_view address, std::string_view host, bool secure) {
  std::string text = "for=";
  if (address.find(':') == std::string_view::npos) {
    text.append(address);
  } else if (address == "unix:") {
    text.append("unknown");
  } else {
    text.append("\"[").append(address).append("]\"");
  }
  if (!host.empty()) {
    const bool token = host.find_first_of(":[]") == std::string_view::npos;
    text.append(token ? ";host=" : ";host=\"").append(host).append(token ? "" : "\"");
  }
  return text.append(secure ? ";proto=https" : ";proto=http");
}

std::optional<uint64_t> hops_left(const http::Request& request) noexcept {
  const std::string_view text = resolver::trimmed(request.field("max-forwards"));
  if (text.empty() || !std::all_of(text.begin(), text.end(), resolver::is_digit)) return std::nullopt;
  uint64_t hops = 0;
  const bool fits = std::from_chars(text.data(), text.data() + text.size(), hops).ec == std::errc();
  return fits ? hops : UINT64_MAX;
}

std::string_view trace_id(std::string_view traceparent) noexcept {
  constexpr size_t kLength = 55, kIdAt = 3, kIdLength = 32;
  const std::string_view text = resolver::trimmed(traceparent);
  if (text.size() < kLength || (text.size() > kLength && (text[kLength] != '-' || text.starts_with("00"))))
    return {};
  for (size_t i = 0; i < kLength; ++i) {
    const bool dash = i == 2 || i == 35 || i == 52;
    const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (dash ? text[i] != '-' : !hex) return {};
  }
  const std::string_view id = text.substr(kIdAt, kIdLength);
  const bool none = id.find_first_not_of('0') == std::string_view::npos ||
                    text.substr(36, 16).find_first_not_of('0') == std::string_view::npos;
  return none || text.starts_with("ff") ? std::string_view() : id;
}

bool is_of_the_way(std::string_view name, const config::Shared& conf) noexcept {
  if (name == "via" || name == "cdn-loop") return true;
  return conf.forwarded != config::Forwarded::kOff && (name == "forwarded" || name == "x-forwarded-for" ||
                                                       name == "x-forwarded-proto" || name == "x-forwarded-host");
}

}  // namespace entrepot::serve
