// Versions of the index's format: a newer one is left alone, an older one is brought up to date, and what is
// no index of ours is refused.
#include "tests/cache/index_fixture.h"

namespace entrepot::cache {
namespace {

class IndexFormat : public IndexTest {
 protected:
  struct RawRecord {
    std::string table, key, value;
  };
  static RawRecord sealed(std::string table, std::string key, const std::string& payload) {
    std::string value = seal(key, payload);
    return {std::move(table), std::move(key), std::move(value)};
  }
  static std::string version(uint32_t number) {
    return std::string(reinterpret_cast<const char*>(&number), sizeof(number));
  }
  // By LMDB itself, in one transaction; the tables are made.
  void write(const std::vector<std::string>& tables, const std::vector<RawRecord>& records) {
    with_transaction([&](MDB_txn* txn) {
      MDB_dbi dbi = 0;
      for (const auto& table : tables) EXPECT_EQ(mdb_dbi_open(txn, table.c_str(), MDB_CREATE, &dbi), 0);
      for (const auto& [table, key, value] : records) {
        MDB_val k{key.size(), const_cast<char*>(key.data())},
            v{value.size(), const_cast<char*>(value.data())};
        EXPECT_EQ(mdb_dbi_open(txn, table.c_str(), 0, &dbi), 0);
        EXPECT_EQ(mdb_put(txn, dbi, &k, &v, 0), 0);
      }
    });
  }
  std::vector<std::string> tables() {
    std::vector<std::string> out;
    with_transaction([&](MDB_txn* txn) {
      MDB_dbi main = 0;
      MDB_cursor* cursor = nullptr;
      MDB_val k{}, v{};
      EXPECT_EQ(mdb_dbi_open(txn, nullptr, 0, &main), 0);
      EXPECT_EQ(mdb_cursor_open(txn, main, &cursor), 0);
      while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
        out.emplace_back(static_cast<const char*>(k.mv_data), k.mv_size);
      mdb_cursor_close(cursor);
    });
    return out;
  }
  void write_version(uint32_t number, const std::vector<std::string>& tables) {
    std::vector<RawRecord> records{sealed("meta", "format", version(number)), sealed("meta", "totals", "t")};
    for (int i = 0; i < 500; ++i)
      records.push_back(sealed("responses", "/" + std::to_string(i), std::string(200, 'r')));
    write(tables, records);
  }

 private:
  template <typename Body>
  void with_transaction(Body body) {
    MDB_env* env = nullptr;
    MDB_txn* txn = nullptr;
    std::filesystem::create_directories(options_.path);
    mdb_env_create(&env);
    mdb_env_set_maxdbs(env, 16);
    EXPECT_EQ(mdb_env_open(env, options_.path.c_str(), 0, 0600), 0);
    EXPECT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
    body(txn);
    EXPECT_EQ(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
  }
};

const std::vector<std::string> kTablesOf1 = {"blobs", "grants",    "groups", "meta",
                                             "names", "responses", "tags"};
const std::vector<std::string> kTablesOf2 = {"blobs", "grants", "groups", "meta", "responses"};
const std::vector<std::string> kTablesOf3 = {"blobs", "grants", "groups", "meta", "responses", "tagged"};

TEST_F(IndexFormat, ANewIndexHasTheTablesOfItsVersion) {
  open();
  EXPECT_EQ(index_->get(Table::kMeta, "format"), version(3));
  index_.reset();
  EXPECT_EQ(tables(), kTablesOf3);
}

TEST_F(IndexFormat, Version1LosesTheTablesThatWereNeverUsed) {
  write_version(1, kTablesOf1);
  EXPECT_FALSE(open().needs_rebuild());
  EXPECT_EQ(index_->get(Table::kMeta, "format"), version(3));
  for (int i = 0; i < 500; ++i) EXPECT_EQ(get("/" + std::to_string(i)), std::string(200, 'r'));
  put("/new", "1");
  EXPECT_TRUE(index_->flush());
  open();
  EXPECT_EQ(get("/new"), "1");
  index_.reset();
  EXPECT_EQ(tables(), kTablesOf3);
}

// However far it comes, the next start finds the old version or the new one.
TEST_F(IndexFormat, AnUpgradeThatCannotBeWrittenLeavesVersion1) {
  write_version(1, kTablesOf1);
  const auto size = std::filesystem::file_size(data_file());
  int failed = 0;
  for (uint64_t room = 0;; room += 1024) {
    {
      const FullDisk full(size + room);
      if (Index::open(options_)) break;
    }
    ++failed;
    ASSERT_EQ(tables(), kTablesOf1) << room;
    ASSERT_LT(failed, 100);
  }
  EXPECT_GT(failed, 0);
  EXPECT_EQ(tables(), kTablesOf3);
  open();
  EXPECT_EQ(get("/499"), std::string(200, 'r'));
}

TEST_F(IndexFormat, Version2GetsTheIndexOfTagsAndLosesNothing) {
  write_version(2, kTablesOf2);
  EXPECT_FALSE(open().needs_rebuild());
  EXPECT_EQ(index_->get(Table::kMeta, "format"), version(3));
  for (int i = 0; i < 500; ++i) EXPECT_EQ(get("/" + std::to_string(i)), std::string(200, 'r'));
  index_->apply({{Table::kTagged, tagged_key("t", "space"), "space"}});
  EXPECT_TRUE(index_->flush());
  open();
  EXPECT_EQ(index_->get(Table::kTagged, tagged_key("t", "space")), "space");
  index_.reset();
  EXPECT_EQ(tables(), kTablesOf3);
}

TEST_F(IndexFormat, AVersionAboveOursIsRefusedAndNotTouched) {
  write({"meta", "of a later time"}, {sealed("meta", "format", version(4))});
  const std::string before = slurp(data_file());
  EXPECT_EQ(refusal(), Error::kUnsupported);
  options_.quarantine_path = [this] { return folder_ / "aside"; };
  EXPECT_EQ(refusal(), Error::kUnsupported);
  EXPECT_EQ(slurp(data_file()), before);
}

TEST_F(IndexFormat, WhatHasNoVersionOrADamagedOneIsNotOurs) {
  const std::vector<RawRecord> records[] = {
      {sealed("meta", "totals", "t")},        {sealed("meta", "format", version(0))},
      {sealed("meta", "format", "2")},        {{"meta", "format", version(2)}},
      {sealed("somebody's", "key", "value")},
  };
  for (const auto& these : records) {
    std::filesystem::remove_all(options_.path);
    write({"meta", "somebody's"}, these);
    EXPECT_EQ(refusal(), Error::kCorrupt) << these[0].key;
  }
}

TEST_F(IndexFormat, WhatIsNotOursGoesToQuarantineAsItIs) {
  write({"somebody's"}, {sealed("somebody's", "key", "value")});
  const std::string before = slurp(data_file());
  options_.quarantine_path = [this] { return folder_ / "aside"; };
  EXPECT_TRUE(open().needs_rebuild());
  EXPECT_TRUE(told("the index is damaged; moved to "));
  EXPECT_EQ(slurp(folder_ / "aside/data.mdb"), before);
}

// Whose process died three times in a row, each time without a clean end in between.
TEST_F(IndexFormat, AnIndexThatKilledThreeTimesGoesToQuarantine) {
  options_.quarantine_path = [this] { return folder_ / "aside"; };
  open();
  put("/a", "1");
  index_.reset();
  spill(options_.path + "/crashes", "!!");
  open();
  EXPECT_EQ(get("/a"), "1");
  index_.reset();
  spill(options_.path + "/crashes", "!!!");
  open();
  EXPECT_EQ(get("/a"), std::nullopt);
  EXPECT_EQ(stats_.index_rebuilds, 1u);
}

}  // namespace
}  // namespace entrepot::cache
