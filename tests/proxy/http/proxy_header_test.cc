#include "proxy/http/proxy_header.h"

#include <gtest/gtest.h>

namespace entrepot::http {
namespace {

using Found = ProxyHeader::Found;

std::string version_2(uint8_t command, uint8_t family, const std::string& addresses) {
  std::string bytes("\r\n\r\n\0\r\nQUIT\n", 12);
  bytes.push_back(static_cast<char>(command));
  bytes.push_back(static_cast<char>(family));
  bytes.push_back(static_cast<char>(addresses.size() >> 8));
  bytes.push_back(static_cast<char>(addresses.size() & 0xff));
  return bytes + addresses;
}

const std::string kFour("\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb", 12);

// Section 2.1: the line for people.
TEST(ProxyHeaderLine, TellsTheClient) {
  const auto header = parse_proxy_header("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n");
  EXPECT_EQ(header.found, Found::kWhole);
  EXPECT_EQ(header.length_bytes, 45u);
  EXPECT_EQ(header.address, "192.0.2.1");
  EXPECT_EQ(header.port, 56324);
  EXPECT_EQ(parse_proxy_header("PROXY TCP6 2001:DB8:0::1 ::1 1 2\r\n").address, "2001:db8::1");
}

TEST(ProxyHeaderLine, UnknownTellsNothingWhateverFollows) {
  for (const std::string_view text : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ff:ff::1 x 1 2\r\n"}) {
    const auto header = parse_proxy_header(text);
    EXPECT_EQ(header.found, Found::kWhole) << text;
    EXPECT_EQ(header.length_bytes, text.size());
    EXPECT_EQ(header.address, "");
  }
}

TEST(ProxyHeaderLine, MalformedOnesAreBad) {
  for (const std::string_view text :
       {"GET / HTTP/1.1\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n", "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", "PROXY TCP4 a b c d\r\n", "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY \r\n", "\x16\x03\x01"})
    EXPECT_EQ(parse_proxy_header(text).found, Found::kBad) << text;
  EXPECT_EQ(parse_proxy_header("PROXY UNKNOWN " + std::string(120, 'x')).found, Found::kBad);
}

// Section 2.2: the binary header.
TEST(ProxyHeaderBinary, TellsTheClientAndWhatFollowsIsSkipped) {
  for (const std::string& more : {std::string(), std::string("\x04\x00\x01\x00", 4)}) {
    const std::string bytes = version_2(0x21, 0x11, kFour + more);
    const auto header = parse_proxy_header(bytes + "GET");
    EXPECT_EQ(header.found, Found::kWhole);
    EXPECT_EQ(header.length_bytes, bytes.size());
    EXPECT_EQ(header.address, "192.0.2.1");
    EXPECT_EQ(header.port, 56324);
  }
  std::string six(36, '\0');
  six[15] = 1;
  six[33] = 80;
  const auto header = parse_proxy_header(version_2(0x21, 0x21, six));
  EXPECT_EQ(header.address, "::1");
  EXPECT_EQ(header.port, 80);
}

TEST(ProxyHeaderBinary, LocalAndOtherSocketsTellNothing) {
  for (const std::string& bytes : {version_2(0x20, 0x00, ""), version_2(0x20, 0x11, kFour), version_2(0x21, 0x00, ""),
                                   version_2(0x21, 0x31, std::string(216, 'x'))}) {
    const auto header = parse_proxy_header(bytes);
    EXPECT_EQ(header.found, Found::kWhole);
    EXPECT_EQ(header.length_bytes, bytes.size());
    EXPECT_EQ(header.address, "");
  }
}

TEST(ProxyHeaderBinary, MalformedOnesAreBad) {
  for (const std::string& bytes :
       {version_2(0x11, 0x11, kFour), version_2(0x22, 0x11, kFour), version_2(0x21, 0x41, kFour),
        version_2(0x21, 0x11, kFour.substr(1)), version_2(0x21, 0x21, kFour), version_2(0x21, 0x11, std::string(5000, 'x'))})
    EXPECT_EQ(parse_proxy_header(bytes).found, Found::kBad);
}

TEST(ProxyHeader, ArrivesInPieces) {
  for (const std::string& bytes : {std::string("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"),
                                   std::string("PROXY UNKNOWN\r\n"), version_2(0x21, 0x11, kFour)}) {
    for (size_t n = 0; n < bytes.size(); ++n)
      EXPECT_EQ(parse_proxy_header(std::string_view(bytes).substr(0, n)).found, Found::kMore) << n;
    EXPECT_EQ(parse_proxy_header(bytes).found, Found::kWhole);
  }
}

}  // namespace
}  // namespace entrepot::http
