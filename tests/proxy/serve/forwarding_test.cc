#include "proxy/serve/forwarding.h"

#include <gtest/gtest.h>

#include <vector>

#include "proxy/config/address.h"
#include "proxy/serve/proxy_status.h"

namespace entrepot::serve {
namespace {

using Fields = std::vector<http::Field>;

http::Request with(const Fields& fields) {
  http::Request request;
  request.fields = fields;
  return request;
}

config::Shared believing(const std::string& header, bool recursive = false) {
  config::Shared conf;
  conf.real_ip_header = header;
  conf.real_ip_recursive = recursive;
  for (const char* text : {"10.0.0.0/8", "2001:db8::/32", "127.0.0.1", "unix:"}) {
    bool has_low_bits = false;
    EXPECT_TRUE(config::parse_cidr(text, conf.real_ip_from.emplace_back(), has_low_bits));
  }
  return conf;
}

std::string client(const config::Shared& conf, const Fields& fields, std::string_view peer = "10.1.2.3",
                   std::string_view proxied = "") {
  return client_address(with(fields), conf, peer, proxied);
}

TEST(RealIp, IsBelievedOnlyOfThoseWhoAreTrusted) {
  const auto conf = believing("x-real-ip");
  EXPECT_EQ(client(conf, {{"x-real-ip", "192.0.2.1"}}), "192.0.2.1");
  EXPECT_EQ(client(conf, {{"x-real-ip", "192.0.2.1"}}, "unix:"), "192.0.2.1");
  EXPECT_EQ(client(conf, {{"x-real-ip", "192.0.2.1"}}, "2001:db8:7::9"), "192.0.2.1");
  EXPECT_EQ(client(conf, {{"x-real-ip", "192.0.2.1"}}, "11.1.2.3"), "");
  EXPECT_EQ(client(conf, {{"x-real-ip", "192.0.2.1"}}, "127.0.0.2"), "");
  EXPECT_EQ(client(conf, {{"x-real-ip", "nobody"}}), "");
  EXPECT_EQ(client(conf, {}), "");
  EXPECT_EQ(client(config::Shared(), {{"x-real-ip", "192.0.2.1"}}), "");
}

// As nginx: the last address, or the last that is not one of the trusted.
TEST(RealIp, OfAListIsTheLastOrTheLastThatIsNotTrusted) {
  const Fields fields{{"x-forwarded-for", "203.0.113.9, 192.0.2.1"},
                                        {"x-forwarded-for", "10.0.0.7:4711, 10.0.0.8"}};
  EXPECT_EQ(client(believing("x-forwarded-for"), fields), "10.0.0.8");
  EXPECT_EQ(client(believing("x-forwarded-for", true), fields), "192.0.2.1");
  EXPECT_EQ(client(believing("x-forwarded-for", true), {{"x-forwarded-for", "10.0.0.1, 10.0.0.2"}}), "10.0.0.1");
  EXPECT_EQ(client(believing("x-forwarded-for", true), {{"x-forwarded-for", "203.0.113.9, x, 10.0.0.2"}}), "10.0.0.2");
}

// RFC 7239 4, 6: nodes are quoted where they have a colon, and may be hidden.
TEST(RealIp, IsReadFromForwarded) {
  const auto conf = believing("forwarded", true);
  EXPECT_EQ(client(conf, {{"forwarded", "For=\"[2001:DB9::1]:4711\";proto=https, for=10.0.0.1"}}), "2001:db9::1");
  EXPECT_EQ(client(conf, {{"forwarded", "by=\"a;for=9.9.9.9\";for=192.0.2.60"}}), "192.0.2.60");
  EXPECT_EQ(client(conf, {{"forwarded", "for=192.0.2.1, for=_hidden, for=10.0.0.1"}}), "10.0.0.1");
  EXPECT_EQ(client(conf, {{"forwarded", "for=unknown"}}), "");
}

TEST(RealIp, IsTakenFromAProxyHeader) {
  const auto conf = believing("proxy_protocol");
  EXPECT_EQ(client(conf, {{"x-real-ip", "192.0.2.1"}}, "10.0.0.1", "198.51.100.7"), "198.51.100.7");
  EXPECT_EQ(client(conf, {}, "10.0.0.1"), "");
  EXPECT_EQ(client(conf, {}, "11.0.0.1", "198.51.100.7"), "");
}

TEST(Forwarded, QuotesWhatIsNoToken) {
  EXPECT_EQ(forwarded_element("192.0.2.1", "edge.example.com", true),
            "for=192.0.2.1;host=edge.example.com;proto=https");
  EXPECT_EQ(forwarded_element("2001:db8::1", "edge.example.com:8443", false),
            "for=\"[2001:db8::1]\";host=\"edge.example.com:8443\";proto=http");
  EXPECT_EQ(forwarded_element("unix:", "", false), "for=unknown;proto=http");
}

TEST(Via, IsAppendedWithTheProtocolThatTheRequestCameIn) {
  EXPECT_EQ(appended(with(Fields{}), "via", via_element(http::Version::kHttp2)), "2.0 entrepot");
  EXPECT_EQ(appended(with(Fields{{"via", "1.0 a"}, {"via", "1.1 b"}}), "via", via_element(http::Version::kHttp10)),
            "1.0 a, 1.1 b, 1.0 entrepot");
}

TEST(CdnLoop, IsFoundByOurOwnIdOrByTooManyHops) {
  const std::string own = loop_element("/etc/edge.conf", "edge.example.com");
  EXPECT_EQ(own, loop_element("/etc/edge.conf", "edge.example.com"));
  EXPECT_NE(own, loop_element("/etc/edge.conf", "other.example.com"));
  const std::string other = loop_element("/etc/other.conf", "edge.example.com");
  EXPECT_FALSE(is_loop(with(Fields{}), own));
  EXPECT_FALSE(is_loop(with(Fields{{"cdn-loop", other}}), own));
  EXPECT_TRUE(is_loop(with(Fields{{"cdn-loop", own}}), own));
  EXPECT_TRUE(is_loop(with(Fields{{"cdn-loop", "a; b=\"x, y\", " + own + ", c"}}), own));
  std::string without_space = own;
  without_space.erase(own.find(' '), 1);
  EXPECT_TRUE(is_loop(with(Fields{{"cdn-loop", "a"}, {"cdn-loop", without_space}}), own));
  const std::string three = other + ", " + other + ", " + other;
  EXPECT_FALSE(is_loop(with(Fields{{"cdn-loop", three}}), own));
  EXPECT_TRUE(is_loop(with(Fields{{"cdn-loop", three + ", " + other}}), own));
  EXPECT_TRUE(is_loop(with(Fields{{"via", "1.1 entrepot, 2.0 entrepot, 1.1 x, 2.0 entrepot, 1.1 entrepot"}}), own));
  EXPECT_FALSE(is_loop(with(Fields{{"via", "1.1 entrepot, 1.1 a, 1.1 b, 1.1 c, 1.1 d"}}), own));
}

// W3C Trace Context 3.2.2.
TEST(TraceId, IsOfAWellFormedTraceparent) {
  const std::string id = "0af7651916cd43dd8448eb211c80319c", right = "00-" + id + "-b7ad6b7169203331-01";
  EXPECT_EQ(trace_id(right), id);
  EXPECT_EQ(trace_id("cc-" + id + "-b7ad6b7169203331-01-what-may-come"), id);
  EXPECT_EQ(trace_id(right + "-more"), "");
  EXPECT_EQ(trace_id("ff-" + id + "-b7ad6b7169203331-01"), "");
  EXPECT_EQ(trace_id("00-00000000000000000000000000000000-b7ad6b7169203331-01"), "");
  EXPECT_EQ(trace_id("00-" + id + "-0000000000000000-01"), "");
  EXPECT_EQ(trace_id("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), "");
  EXPECT_EQ(trace_id("00-" + id), "");
  EXPECT_EQ(trace_id(""), "");
}

// RFC 9209 2.3.
TEST(ProxyStatus, NamesTheErrorInTheStandardsWords) {
  EXPECT_EQ(proxy_error_of(Error::kConnect, "connect to 127.0.0.1:1: Connection refused"), "connection_refused");
  EXPECT_EQ(proxy_error_of(Error::kConnect, "resolve x.invalid: no such name"), "dns_error");
  EXPECT_EQ(proxy_error_of(Error::kConnect, "connect to 192.0.2.1:1: Network is unreachable"),
            "destination_ip_unroutable");
  EXPECT_EQ(proxy_error_of(Error::kConnect, "no server of the upstream group is up"), "destination_unavailable");
  EXPECT_EQ(proxy_error_of(Error::kTimeout, "connect to 192.0.2.1:1: timed out after 5 ms"), "connection_timeout");
  EXPECT_EQ(proxy_error_of(Error::kTimeout, "resolve x: no answer for 5 ms"), "dns_timeout");
  EXPECT_EQ(proxy_error_of(Error::kTimeout, "127.0.0.1:1: silent for 5 ms before the head"), "http_response_timeout");
  EXPECT_EQ(proxy_error_of(Error::kTls, "TLS with a:443: SSL certificate problem"), "tls_certificate_error");
  EXPECT_EQ(proxy_error_of(Error::kReset, "127.0.0.1:1: the connection ended within the head"),
            "http_response_incomplete");
  EXPECT_EQ(proxy_error_of(Error::kProtocol, ""), "http_protocol_error");
}

TEST(HopsLeft, AreWhatMaxForwardsTellsWhereItIsANumber) {
  const auto hops_of = [](std::string_view value) { return hops_left(with({{"max-forwards", value}})); };
  EXPECT_EQ(hops_left(with({})), std::nullopt);
  EXPECT_EQ(hops_of("0"), 0u);
  EXPECT_EQ(hops_of(" 007 "), 7u);
  EXPECT_EQ(hops_of("99999999999999999999999"), UINT64_MAX);
  for (const std::string_view value : {"", "-1", "+1", "1, 2", "0x1", "one"}) EXPECT_EQ(hops_of(value), std::nullopt) << value;
}

TEST(ProxyStatus, IsAStructuredField) {
  EXPECT_EQ(proxy_status("dns_error", 0, "", ""), "entrepot; error=dns_error");
  EXPECT_EQ(proxy_status("", 401, "a:443", ""), "entrepot; received-status=401; next-hop=\"a:443\"");
  EXPECT_EQ(proxy_status("dns_error", 0, "", "a \"b\" \\ \xc3\xa4"),
            "entrepot; error=dns_error; details=\"a \\\"b\\\" \\\\ ??\"");
}

}  // namespace
}  // namespace entrepot::serve
