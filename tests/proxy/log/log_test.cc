#include "proxy/log/log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/support/temp_dir.h"

namespace entrepot::log {
namespace {

class ErrorLog : public ::testing::Test {
 protected:
  ~ErrorLog() override { static_cast<void>(open("stderr", Level::kNotice)); }
  std::string path() const { return dir_.path("error.log"); }
  std::string content() const { return dir_.read("error.log"); }
  support::TempDir dir_;
};

TEST_F(ErrorLog, LineHasTimeLevelProcessAndMessage) {
  ASSERT_EQ(open(path(), Level::kInfo), "");
  write(Level::kCrit, "disk {} %s on fire");
  const std::string process = std::to_string(::getpid());
  std::string form = content();
  const size_t time_bytes = std::string_view("0000/00/00 00:00:00").size();
  std::replace_if(
      form.begin(), form.begin() + static_cast<long>(std::min(time_bytes, form.size())),
      [](char c) { return c >= '0' && c <= '9'; }, '0');
  EXPECT_EQ(form, "0000/00/00 00:00:00 [crit] " + process + "#" + process + ": disk {} %s on fire\n")
      << "the main thread bears the process's number";
}

TEST_F(ErrorLog, LinesBelowTheLevelAreLeftOut) {
  ASSERT_EQ(open(path(), Level::kWarn), "");
  const Level levels[] = {Level::kDebug, Level::kInfo, Level::kNotice, Level::kWarn,
                          Level::kError, Level::kCrit, Level::kAlert,  Level::kEmerg};
  for (const Level level : levels) {
    EXPECT_EQ(enabled(level), level >= Level::kWarn);
    write(level, "level is " + std::string(to_string(level)));
  }
  EXPECT_EQ(content().find("level is notice"), std::string::npos);
  for (const char* level : {"warn", "error", "crit", "alert", "emerg"}) {
    EXPECT_NE(content().find("[" + std::string(level) + "]"), std::string::npos) << level;
  }
}

TEST_F(ErrorLog, NoLineCanBeForged) {
  ASSERT_EQ(open(path(), Level::kInfo), "");
  write(Level::kError, std::string_view("a\nb\r\x1b[2Jc\0d\t\xc2\x9b\xc3\xa9", 16));
  const std::string line = content();
  EXPECT_TRUE(line.ends_with("a\\x0ab\\x0d\\x1b[2Jc\\x00d\\x09\\xc2\\x9b\xc3\xa9\n")) << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

TEST_F(ErrorLog, LineEndsAfterEightKib) {
  ASSERT_EQ(open(path(), Level::kInfo), "");
  write(Level::kError, std::string(100'000, '\n'));
  const std::string line = content();
  EXPECT_EQ(line.size(), kMaxLineBytes);
  EXPECT_TRUE(line.ends_with("...\n"));
}

TEST_F(ErrorLog, ReopenedAfterARotationItWritesToTheNewFile) {
  ASSERT_EQ(open(path(), Level::kInfo), "");
  write(Level::kError, "first");
  ASSERT_EQ(::rename(path().c_str(), dir_.path("error.log.1").c_str()), 0);
  write(Level::kError, "second");
  reopen();
  write(Level::kError, "third");
  EXPECT_NE(dir_.read("error.log.1").find("second"), std::string::npos);
  EXPECT_EQ(content().find("second"), std::string::npos);
  EXPECT_NE(content().find("third"), std::string::npos);
}

TEST_F(ErrorLog, OpenedAgainItAppends) {
  ASSERT_EQ(open(path(), Level::kInfo), "");
  write(Level::kError, "first");
  ASSERT_EQ(open(path(), Level::kInfo), "");
  write(Level::kError, "second");
  EXPECT_NE(content().find("first"), std::string::npos);
  EXPECT_NE(content().find("second"), std::string::npos);
}

TEST_F(ErrorLog, FailureToOpenIsSaidAndKeepsTheOldFile) {
  ASSERT_EQ(open(path(), Level::kInfo), "");
  EXPECT_EQ(open("/nowhere/error.log", Level::kEmerg),
            "open() \"/nowhere/error.log\" failed (2: No such file or directory)");
  write(Level::kInfo, "still here");
  EXPECT_NE(content().find("still here"), std::string::npos);
}

TEST_F(ErrorLog, FailureToReopenIsWrittenToTheOldFile) {
  support::TempDir gone;
  {
    const support::TempDir inner;
    ASSERT_EQ(open(inner.path("error.log"), Level::kInfo), "");
    ASSERT_EQ(::link(inner.path("error.log").c_str(), gone.path("kept").c_str()), 0);
  }
  reopen();
  EXPECT_NE(gone.read("kept").find("failed (2: No such file or directory)"), std::string::npos)
      << gone.read("kept");
}

TEST_F(ErrorLog, LinesOfManyThreadsStayWhole) {
  ASSERT_EQ(open(path(), Level::kInfo), "");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 200; ++i) write(Level::kError, "begin and end");
    });
  }
  for (int i = 0; i < 20; ++i) reopen();
  for (auto& thread : threads) thread.join();
  std::istringstream lines(content());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    EXPECT_TRUE(line.ends_with(": begin and end")) << line;
  EXPECT_EQ(count, 800);
}

}  // namespace
}  // namespace entrepot::log
