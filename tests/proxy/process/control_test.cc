#include "proxy/control.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace entrepot {
namespace {

TEST(Control, MessagesArriveWholeAndInOrder) {
  const auto ends = Control::pair();
  ASSERT_TRUE(ends.first.send(Control::Kind::kFailed, "why"));
  ASSERT_TRUE(ends.first.send(Control::Kind::kStop));
  const auto first = ends.second.receive(), second = ends.second.receive();
  EXPECT_EQ(first->kind, Control::Kind::kFailed);
  EXPECT_EQ(first->text, "why");
  EXPECT_TRUE(first->fds.empty());
  EXPECT_EQ(second->kind, Control::Kind::kStop);
  EXPECT_EQ(second->text, "");
}

TEST(Control, DescriptorsArriveAsTheReceiversOwn) {
  const auto ends = Control::pair();
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  ASSERT_TRUE(ends.first.send(Control::Kind::kListener, "127.0.0.1:80", {pipe_fds[1]}));
  ::close(pipe_fds[1]);
  const auto message = ends.second.receive();
  ASSERT_EQ(message->fds.size(), 1u);
  EXPECT_EQ(message->text, "127.0.0.1:80");
  EXPECT_NE(::fcntl(message->fds[0], F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(::write(message->fds[0], "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(pipe_fds[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  ::close(pipe_fds[0]);
  ::close(message->fds[0]);
}

TEST(Control, AsManyDescriptorsAsAllowedFitAndOneMoreIsRefused) {
  const auto ends = Control::pair();
  std::vector<int> fds(Control::kMaxFds, STDIN_FILENO);
  ASSERT_TRUE(ends.first.send(Control::Kind::kListener, "a", fds));
  const auto message = ends.second.receive();
  EXPECT_EQ(message->fds.size(), Control::kMaxFds);
  for (const int fd : message->fds) ::close(fd);
  fds.push_back(STDIN_FILENO);
  EXPECT_FALSE(ends.first.send(Control::Kind::kListener, "a", fds));
}

TEST(Control, ALongTextIsCut) {
  const auto ends = Control::pair();
  ASSERT_TRUE(ends.first.send(Control::Kind::kFailed, std::string(100'000, 'x')));
  EXPECT_EQ(ends.second.receive()->text, std::string(Control::kMaxTextBytes, 'x'));
}

TEST(Control, TheOtherSidesEndIsNoMessage) {
  auto ends = Control::pair();
  ends.first.close();
  EXPECT_FALSE(ends.second.receive().has_value());
  EXPECT_FALSE(ends.second.send(Control::Kind::kReady));
}

TEST(Control, AReaderThatDoesNotReadMakesNobodyWait) {
  const auto ends = Control::pair();
  int sent = 0;
  while (ends.first.send(Control::Kind::kReopen) && sent < 1'000'000) ++sent;
  EXPECT_GT(sent, 0);
  EXPECT_LT(sent, 1'000'000);
}

}  // namespace
}  // namespace entrepot
