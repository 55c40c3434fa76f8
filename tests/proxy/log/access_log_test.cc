#include "proxy/log/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/support/temp_dir.h"

namespace entrepot::log {
namespace {

class AccessLog : public ::testing::Test {
 protected:
  std::shared_ptr<AccessLogFile> open(const std::string& name = "access.log") {
    std::string error;
    auto log = AccessLogFile::open(dir_.path(name), error);
    EXPECT_EQ(error, "");
    return log;
  }
  support::TempDir dir_;
};

TEST_F(AccessLog, LinesAreWrittenInTheirOrder) {
  const auto log = open();
  log->append("one\n");
  log->append("two\n");
  log->flush();
  EXPECT_EQ(dir_.read("access.log"), "one\ntwo\n");
  EXPECT_EQ(log->dropped_lines(), 0u);
}

TEST_F(AccessLog, NothingIsWrittenByTheOneWhoAppends) {
  const auto log = open();
  log->append("one\n");
  EXPECT_EQ(dir_.read("access.log"), "") << "not before a second has passed";
}

TEST_F(AccessLog, WhatWaitsIsWrittenAtTheEnd) {
  open()->append("one\n");
  EXPECT_EQ(dir_.read("access.log"), "one\n");
}

TEST_F(AccessLog, LinesComeBySecondsOnTheirOwn) {
  const auto log = open();
  log->append("one\n");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (dir_.read("access.log").empty() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_EQ(dir_.read("access.log"), "one\n");
}

TEST_F(AccessLog, OpenedAgainItAppends) {
  open()->append("one\n");
  open()->append("two\n");
  EXPECT_EQ(dir_.read("access.log"), "one\ntwo\n");
}

TEST_F(AccessLog, FailureToOpenIsSaid) {
  std::string error;
  EXPECT_EQ(AccessLogFile::open("/nowhere/access.log", error), nullptr);
  EXPECT_EQ(error, "open() \"/nowhere/access.log\" failed (2: No such file or directory)");
}

TEST_F(AccessLog, ReopenedAfterARotationItWritesToTheNewFile) {
  const auto log = open();
  log->append("one\n");
  log->flush();
  ASSERT_EQ(::rename(dir_.path("access.log").c_str(), dir_.path("access.log.1").c_str()), 0);
  log->append("two\n");
  log->flush();
  EXPECT_EQ(log->reopen(), "");
  log->append("three\n");
  log->flush();
  EXPECT_EQ(dir_.read("access.log.1"), "one\ntwo\n");
  EXPECT_EQ(dir_.read("access.log"), "three\n");
}

TEST_F(AccessLog, LinesOfManyThreadsAndManyReopensAllArriveWhole) {
  const auto log = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log] {
      for (int i = 0; i < 5'000; ++i) log->append("begin and end\n");
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(log->reopen(), "");
  for (auto& thread : threads) thread.join();
  log->flush();
  const std::string all = dir_.read("access.log");
  EXPECT_EQ(all.size(), 20'000 * 14u);
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 20'000);
}

// A named pipe that nobody reads: write(2) blocks, as on a disk that does not answer.
TEST_F(AccessLog, StuckDiskBlocksNobodyAndWhatIsTooMuchIsDroppedAndCounted) {
  const std::string path = dir_.path("stuck");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  auto log = open("stuck");
  const std::string line = std::string(1023, 'x') + "\n";
  const size_t appended = 2 * AccessLogFile::kMaxWaitingBytes / line.size();
  for (size_t i = 0; i < appended; ++i) log->append(line);
  const uint64_t dropped = log->dropped_lines();
  EXPECT_GT(dropped, 0u);
  EXPECT_LT(dropped, appended);

  // The disk answers again: what was taken arrives, and the log works on.
  size_t read_bytes = 0;
  std::thread drain([&] {
    ::fcntl(reader, F_SETFL, 0);
    std::string buffer(1 << 20, 0);
    for (ssize_t n = 1; n > 0; read_bytes += static_cast<size_t>(n))
      n = ::read(reader, buffer.data(), buffer.size());
  });
  log->flush();
  log->append(line);
  log.reset();
  drain.join();
  ::close(reader);
  EXPECT_EQ(read_bytes, (appended - dropped + 1) * line.size());
}

TEST_F(AccessLog, FullDiskLosesLinesAndCountsThem) {
  std::string error;
  const auto log = AccessLogFile::open("/dev/full", error);
  ASSERT_TRUE(log);
  log->append("one\n");
  log->append("two\n");
  log->flush();
  EXPECT_EQ(log->dropped_lines(), 2u);
}

}  // namespace
}  // namespace entrepot::log
