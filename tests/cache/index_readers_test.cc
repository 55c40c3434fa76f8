// What another process that reads the index, and is killed, leaves behind.
#include <lmdb.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/cache/index_fixture.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class IndexReaders : public IndexTest {
 protected:
  // A process that begins to read and never ends.
  pid_t start_reader() {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    const pid_t reader = ::fork();
    if (reader == 0) {
      MDB_env* env = nullptr;
      MDB_txn* txn = nullptr;
      mdb_env_create(&env);
      mdb_env_set_mapsize(env, options_.map_size_bytes);
      const bool reads = mdb_env_open(env, options_.path.c_str(), MDB_NOTLS | MDB_RDONLY, 0) == 0 &&
                         mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) == 0;
      if (!reads || ::write(ready[1], "x", 1) != 1) ::_exit(1);
      while (true) ::pause();
    }
    char byte;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
    return reader;
  }
  // Bytes that the file grows by while one record is written again and again.
  uint64_t growth() {
    const uint64_t before = std::filesystem::file_size(data_file());
    for (int i = 0; i < 20; ++i) {
      put("again", std::string(kMiB, static_cast<char>('a' + i)));
      EXPECT_TRUE(index_->flush());
    }
    return std::filesystem::file_size(data_file()) - before;
  }
};

TEST_F(IndexReaders, ThatWereKilledDoNotMakeItGrow) {
  options_.look_after_interval = 0ms;
  open();
  (void)growth();  // as large as it is by itself
  const pid_t reader = start_reader();
  EXPECT_GT(growth(), 10 * kMiB);  // nothing that the reader may see is used again
  ::kill(reader, SIGKILL);
  ::waitpid(reader, nullptr, 0);
  (void)growth();
  EXPECT_EQ(growth(), 0u);
}

}  // namespace
}  // namespace entrepot::cache
