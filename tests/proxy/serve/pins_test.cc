#include "proxy/serve/pins.h"

#include <gtest/gtest.h>

#include "tests/support/fake_blob.h"

namespace entrepot::serve {
namespace {

struct Connection {
  std::shared_ptr<const void> state;
};

class FakeStream final : public http::Stream {
 public:
  FakeStream(Connection& connection, std::vector<http::Field> fields = {})
      : connection_(connection), fields_(std::move(fields)) {
    request_.fields = fields_;
  }
  io::Loop& loop() noexcept override { std::abort(); }
  std::string_view remote_address() const noexcept override { return {}; }
  uint16_t local_port() const noexcept override { return 0; }
  uintptr_t listener_tag() const noexcept override { return 0; }
  void respond(const http::ResponseHead&, std::span<const std::byte>, std::shared_ptr<const void>,
               std::shared_ptr<const void>) override {}
  void respond(const http::ResponseHead&, std::unique_ptr<http::Body>, std::shared_ptr<const void>) override {
  }
  void reset(http::ResetReason) override {}
  void body_ready() override {}
  void adopt(io::Task<void>) override {}
  const std::shared_ptr<const void>& connection_state() const noexcept override { return connection_.state; }
  void set_connection_state(std::shared_ptr<const void> state) override {
    connection_.state = std::move(state);
  }

 private:
  Connection& connection_;
  std::vector<http::Field> fields_;
};

std::shared_ptr<cache::Blob> blob() { return std::make_shared<test::FakeBlob>(10); }
Pin pin(const std::string& heading, std::shared_ptr<cache::Blob> blob, const std::string& space = "r") {
  return {space, heading, nullptr, std::move(blob), nullptr};
}
std::string key_of(const http::Stream& stream, const std::string& space = "r") {
  std::string key;
  if (const auto pins = Pins::of(stream)) pins->append_key(space, key);
  return key;
}

TEST(Pins, AreSharedByTheStreamsOfAConnectionAndByNoOther) {
  Connection connection, other;
  FakeStream first(connection), second(connection), elsewhere(other);
  const auto content = blob();
  Pins::add(first, pin("a", content));
  ASSERT_TRUE(Pins::of(second));
  ASSERT_TRUE(Pins::of(second)->find("r", "a"));
  EXPECT_EQ(Pins::of(second)->find("r", "a")->blob, content);
  EXPECT_FALSE(Pins::of(second)->find("r", "b"));
  EXPECT_FALSE(Pins::of(second)->find("another repository", "a"));
  EXPECT_FALSE(Pins::of(elsewhere));
}

TEST(Pins, TheLastOfAHeadingCountsForRequestsThatComeAfterIt) {
  Connection connection;
  FakeStream stream(connection);
  const auto before = blob(), after = blob();
  Pins::add(stream, pin("a", before));
  const auto of_a_running_request = Pins::of(stream);
  Pins::add(stream, pin("a", after));
  EXPECT_EQ(Pins::of(stream)->find("r", "a")->blob, after);
  EXPECT_EQ(of_a_running_request->find("r", "a")->blob, before);
}

TEST(Pins, AnswersThatRestOnOtherContentsHaveOtherKeys) {
  Connection connection;
  FakeStream stream(connection);
  EXPECT_EQ(key_of(stream), "");
  Pins::add(stream, pin("a", blob()));
  const std::string one = key_of(stream);
  Pins::add(stream, pin("a", blob()));
  const std::string another = key_of(stream);
  EXPECT_NE(one, "");
  EXPECT_NE(one, another);
  Pins::add(stream, pin("a", blob(), "another repository"));
  EXPECT_EQ(key_of(stream), another);
}

TEST(Pins, AConnectionOfAProxyIsNotOneClients) {
  for (const char* name : {"via", "forwarded", "x-forwarded-for"}) {
    Connection connection;
    FakeStream forwarded(connection, {{name, "x"}}), own(connection);
    Pins::add(forwarded, pin("a", blob()));
    EXPECT_FALSE(Pins::of(own)) << name;
    Pins::add(own, pin("a", blob()));
    EXPECT_TRUE(Pins::of(own));
    EXPECT_FALSE(Pins::of(forwarded)) << name;
  }
}

TEST(Pins, AreFewOnAConnection) {
  Connection connection;
  FakeStream stream(connection);
  for (int i = 0; i < 100; ++i) Pins::add(stream, pin(std::to_string(i), blob()));
  EXPECT_TRUE(Pins::of(stream)->find("r", "99"));
  EXPECT_FALSE(Pins::of(stream)->find("r", "0"));
}

}  // namespace
}  // namespace entrepot::serve
