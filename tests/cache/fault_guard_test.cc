#include "cache/fault_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "tests/cache/temp_folder.h"

namespace entrepot::cache {
namespace {

class FaultGuard : public ::testing::Test {
 protected:
  FaultGuard() { install_fault_guard(); }
  // A page that may be mapped, but lies beyond its file.
  volatile char* beyond_the_end() {
    spill(folder_ / "file", "x");
    const int fd = ::open((folder_ / "file").c_str(), O_RDONLY);
    void* const map = ::mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    return static_cast<volatile char*>(map) + 4096;
  }
  volatile char* nowhere() {
    return static_cast<volatile char*>(::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  // How a process ends that does this with an index open, and how many crashes it leaves noted.
  template <typename Death>
  size_t crashes_noted_by(Death death) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(STDERR_FILENO);
      const CrashNote note(folder_ / "crashes");
      death();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    std::error_code none;
    const auto size = std::filesystem::file_size(folder_ / "crashes", none);
    return none ? 0 : size;
  }

  TempFolder folder_;
};

TEST_F(FaultGuard, ARunThatMeetsNothingEndsWell) {
  int runs = 0;
  EXPECT_TRUE(survives([&] { ++runs; }));
  EXPECT_EQ(runs, 1);
}

TEST_F(FaultGuard, EveryFaultEndsTheRunAgainAndAgain) {
  volatile char* const bad[] = {nowhere(), beyond_the_end()};
  for (int i = 0; i < 100; ++i) {
    bool went_on = false;
    EXPECT_FALSE(survives([&] { went_on = *bad[i % 2] == 'x' || true; }));
    EXPECT_FALSE(went_on);
  }
  EXPECT_FALSE(survives([] { ::raise(SIGFPE); }));
  EXPECT_FALSE(survives([] { leave_guard(); }));
  leave_guard();  // outside of it nothing
}

TEST_F(FaultGuard, ThreadsDoNotMeetEachOthersFaults) {
  std::vector<std::thread> threads;
  volatile char* const bad = nowhere();
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, bad] {
      for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(survives([&] {
                    if (t % 2 == 0) (void)*bad;
                  }),
                  t % 2 != 0);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST_F(FaultGuard, AFaultOutsideKillsAndIsNoted) {
  volatile char* const bad = nowhere();
  EXPECT_EQ(crashes_noted_by([&] { (void)*bad; }), 1u);
  EXPECT_EQ(crashes_noted_by([&] { (void)survives([] {}), (void)*bad; }), 2u);
  EXPECT_EQ(crashes_noted_by([] { std::abort(); }), 3u);
  EXPECT_EQ(crashes_noted_by([] { ::kill(::getpid(), SIGKILL); }), 3u);
}

TEST_F(FaultGuard, ASignalThatSomebodySentIsNoCrash) {
  const pid_t parent = ::getpid();
  ASSERT_NE(parent, 0);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const CrashNote note(folder_ / "crashes");
    if (::write(ends[1], "x", 1) == 1) ::pause();
    ::_exit(0);
  }
  char ready = 0;
  ASSERT_EQ(::read(ends[0], &ready, 1), 1);
  ::kill(child, SIGABRT);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "crashes"));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(FaultGuard, ACleanEndForgetsTheCrashesBefore) {
  spill(folder_ / "crashes", "!!");
  {
    const CrashNote note(folder_ / "crashes");
    EXPECT_EQ(note.crashes(), 2u);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "crashes"));
}

}  // namespace
}  // namespace entrepot::cache
