// apt repositories: what each path asks for, step by step.
#include <gtest/gtest.h>

#include "resolver/resolution.h"

namespace entrepot::resolver {
namespace {

const std::string kHex(64, 'a'), kOtherHex(64, 'b'), kFileHex(64, 'c');

// Answers a resolution by hand: each function says what was found for the question that was asked last.
class Asking {
 public:
  explicit Asking(const std::string& path, const std::string& target = "") {
    Question question;
    question.path = path;
    question.target = target.empty() ? path : target;
    resolution_ = resolve(Format::kApt, question);
    step = resolution_->advance({});
  }

  Asking& status(int status) {
    Found found;
    found.status = status;
    step = resolution_->advance(std::move(found));
    return *this;
  }
  Asking& document(const std::string& text) {
    Found found;
    found.status = 200;
    found.document = fetch().parse(std::as_bytes(std::span(text)), "");
    step = resolution_->advance(std::move(found));
    return *this;
  }
  // Each as "<dist> <folder>".
  Asking& notes(std::initializer_list<const char*> all) {
    EXPECT_EQ(std::get<Recall>(step).name, "apt indexes");
    Found found;
    found.status = 200;
    for (std::string note : all) {
      note[note.find(' ')] = '\n';
      found.fields.emplace_back(note, "used");
    }
    step = resolution_->advance(std::move(found));
    return *this;
  }

  const Fetch& fetch() const { return std::get<Fetch>(step); }
  const Serve& serve() const { return std::get<Serve>(step); }
  const Wanted& wanted() const { return serve().wanted; }
  std::string note() const { return serve().note ? serve().note->key : ""; }

 private:
  std::unique_ptr<Resolution> resolution_;

 public:
  Step step;
};

std::string release(std::initializer_list<const char*> files, bool by_hash = true) {
  std::string text =
      std::string("Suite: stable\nAcquire-By-Hash: ") + (by_hash ? "yes" : "no") + "\nSHA256:\n";
  for (const char* file : files) text += " " + kHex + " 10 " + file + "\n";
  return text;
}

std::string signed_within(const std::string& release) {
  return "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + release +
         "-----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n";
}

std::string packages(const std::string& file) {
  return "Package: x\nFilename: " + file + "\nSHA256: " + kFileHex + "\n";
}

constexpr const char* kPackages = "main/binary-amd64/Packages.gz";

// -- Release --

TEST(AptResolution, ReleasesAreMutable) {
  for (const char* path : {"/dists/stable/InRelease", "/dists/stable/Release",
                           "/debian/dists/stable/InRelease", "/flat/InRelease", "/InRelease"}) {
    const Asking asking(path);
    EXPECT_EQ(asking.wanted().name, path);
    EXPECT_EQ(asking.wanted().target, path);
    EXPECT_EQ(asking.wanted().cls, Class::kMutable);
    EXPECT_FALSE(asking.wanted().digest);
  }
}

TEST(AptResolution, OneReleaseForAllSpellingsOfItsPath) {
  const Asking flat("/flat/InRelease", "/flat/./InRelease"),
      escaped("/dists/a+b/InRelease", "/dists/a%2bb/InRelease");
  EXPECT_EQ(flat.wanted().name, "/flat/InRelease");
  EXPECT_EQ(escaped.wanted().name, "/dists/a+b/InRelease");
  const Asking index("/dists/a+b/main/binary-amd64/Packages", "/dists/a%2Bb/main/binary-amd64/Packages");
  EXPECT_EQ(index.fetch().wanted.name, escaped.wanted().name);
  EXPECT_EQ(index.fetch().wanted.target, "/dists/a%2bb/InRelease");
}

TEST(AptResolution, TheReleaseThatAClientIsGivenIsPinnedForAllThatRestsOnIt) {
  const std::string heading = Asking("/dists/stable/InRelease").serve().pinned_as;
  EXPECT_FALSE(heading.empty());
  EXPECT_EQ(Asking("/dists/stable/Release").serve().pinned_as, heading) << "the one that came last";
  EXPECT_NE(Asking("/dists/updates/InRelease").serve().pinned_as, heading);
  EXPECT_NE(Asking("/debian/dists/stable/InRelease").serve().pinned_as, heading);

  Asking index("/dists/stable/main/binary-amd64/Packages.gz");
  EXPECT_EQ(index.fetch().pinned_as, heading);
  index.status(404);
  EXPECT_EQ(index.fetch().pinned_as, heading) << "without an InRelease";
  index.document(release({kPackages}));
  EXPECT_EQ(index.serve().pinned_as, "") << "only a Release is";

  Asking file("/pool/x/x_1_amd64.deb");
  file.notes({"dists/stable main/binary-amd64"});
  EXPECT_EQ(file.fetch().pinned_as, heading);
}

// -- indexes --

TEST(AptResolution, AnIndexIsServedAsTheReleaseNamesIt) {
  Asking asking("/dists/stable/main/binary-amd64/Packages.gz");
  EXPECT_EQ(asking.fetch().wanted.name, "/dists/stable/InRelease");
  EXPECT_EQ(asking.fetch().wanted.cls, Class::kMutable);
  asking.document(release({kPackages}));
  EXPECT_EQ(asking.wanted().cls, Class::kDigest);
  EXPECT_EQ(asking.wanted().digest->hex(), kHex);
  EXPECT_EQ(asking.wanted().digest_source, DigestSource::kIndex);
  EXPECT_EQ(asking.wanted().target, "/dists/stable/main/binary-amd64/by-hash/SHA256/" + kHex);
  EXPECT_EQ(asking.note(), "dists/stable\nmain/binary-amd64");
}

// Of a plain Release nobody here knows whether somebody signed it.
TEST(AptResolution, OnlyWhatAnInReleaseNamesIsBySignedMetadata) {
  Asking by_in_release("/dists/stable/main/binary-amd64/Packages.gz");
  by_in_release.document(signed_within(release({kPackages})));
  EXPECT_EQ(by_in_release.wanted().digest_source, DigestSource::kSignedMetadata);
  EXPECT_EQ(by_in_release.wanted().rule, "apt: a list, by the InRelease that vouches for it");
  Asking by_release("/dists/stable/main/binary-amd64/Packages.gz");
  by_release.status(404).document(release({kPackages}));
  EXPECT_EQ(by_release.wanted().digest_source, DigestSource::kIndex);
  EXPECT_EQ(by_release.wanted().rule, "apt: a list, by the Release that names it");
}

TEST(AptResolution, WithoutByHashAnIndexIsAskedForByItsPathButHeldAgainstTheRelease) {
  Asking asking("/dists/stable/main/binary-amd64/Packages.gz");
  asking.document(release({kPackages}, false));
  EXPECT_EQ(asking.wanted().target, "/dists/stable/main/binary-amd64/Packages.gz");
  EXPECT_EQ(asking.wanted().digest->hex(), kHex);
}

TEST(AptResolution, AnIndexHasTheLengthThatTheReleaseStates) {
  for (const bool by_hash : {true, false}) {
    Asking by_path("/dists/stable/main/binary-amd64/Packages.gz");
    by_path.document(release({kPackages}, by_hash));
    EXPECT_EQ(by_path.wanted().length_bytes, 10u);
  }
  Asking listed("/dists/stable/main/binary-amd64/by-hash/SHA256/" + kHex);
  EXPECT_EQ(listed.notes({}).document(release({kPackages})).wanted().length_bytes, 10u);
  Asking older("/dists/stable/main/binary-amd64/by-hash/SHA256/" + kOtherHex);
  EXPECT_EQ(older.notes({}).document(release({kPackages})).wanted().length_bytes, std::nullopt);
}

// By its path the upstream may have another generation's by now; under by-hash it has the right one or none.
TEST(AptResolution, AnIndexThatIsAskedForByItsPathCastsDoubtOnTheReleaseWhenItIsAnother) {
  Asking by_path("/dists/stable/main/binary-amd64/Packages.gz");
  by_path.document(release({kPackages}, false));
  EXPECT_EQ(by_path.wanted().vouchers,
            (std::vector<std::string>{"/dists/stable/InRelease", "/dists/stable/Release"}));
  Asking by_hash("/dists/stable/main/binary-amd64/Packages.gz");
  EXPECT_TRUE(by_hash.document(release({kPackages})).wanted().vouchers.empty());
}

TEST(AptResolution, AnIndexHasOneNameHoweverItIsAskedFor) {
  Asking by_path("/dists/stable/main/binary-amd64/Packages.gz");
  by_path.document(release({kPackages}));
  Asking by_hash("/dists/stable/main/binary-amd64/by-hash/SHA256/" + kHex);
  by_hash.notes({"dists/stable main/binary-amd64"});
  EXPECT_EQ(by_path.wanted().name, by_hash.wanted().name);
  EXPECT_TRUE(by_path.serve().moves) << "with the next Release";
  EXPECT_FALSE(by_hash.serve().moves);
}

TEST(AptResolution, WithoutInReleaseTheReleaseSpeaks) {
  Asking asking("/dists/stable/main/binary-amd64/Packages.gz");
  asking.status(404);
  EXPECT_EQ(asking.fetch().wanted.name, "/dists/stable/Release");
  asking.document(release({kPackages}));
  EXPECT_EQ(asking.wanted().digest->hex(), kHex);
}

TEST(AptResolution, WhatNoReleaseListsIsMutable) {
  Asking unlisted("/dists/stable/main/binary-amd64/Packages.diff/2024-01-01.gz");
  unlisted.document(release({kPackages}));
  EXPECT_EQ(unlisted.wanted().cls, Class::kMutable);
  EXPECT_EQ(unlisted.note(), "");
  Asking bare("/Packages.gz");
  bare.status(404).status(404);
  EXPECT_EQ(bare.wanted().cls, Class::kMutable);
  EXPECT_EQ(bare.wanted().target, "/Packages.gz");
}

TEST(AptResolution, AnIndexWhoseReleaseCannotBeHadIsRefused) {
  for (const int status : {0, 500, 403}) {
    Asking asking("/dists/stable/main/binary-amd64/Packages.gz");
    EXPECT_EQ(std::get<Refuse>(asking.status(status).step).status, 502) << status;
  }
  Asking malformed("/dists/stable/main/binary-amd64/Packages.gz");
  EXPECT_EQ(std::get<Refuse>(malformed.document("<html>").step).error, "malformed-index");
}

TEST(AptResolution, OtherDocumentsOfAReleaseLeaveNoNote) {
  Asking asking("/dists/stable/main/i18n/Translation-en.bz2");
  asking.document(release({"main/i18n/Translation-en.bz2"}));
  EXPECT_EQ(asking.wanted().cls, Class::kDigest);
  EXPECT_EQ(asking.note(), "");
}

// -- by-hash --

TEST(AptResolution, ByHashIsServedByItsDigest) {
  for (const auto& [algorithm, length] :
       {std::pair("SHA256", 64), std::pair("SHA512", 128), std::pair("MD5Sum", 32), std::pair("SHA1", 40)}) {
    const std::string hex(static_cast<size_t>(length), 'd');
    const std::string path = std::string("/dists/stable/main/binary-amd64/by-hash/") + algorithm + "/" + hex;
    Asking asking(path);
    asking.notes({"dists/stable main/binary-amd64"});
    EXPECT_EQ(asking.wanted().target, path);
    EXPECT_EQ(asking.wanted().cls, Class::kDigest);
    EXPECT_EQ(asking.wanted().digest->hex(), hex);
    EXPECT_EQ(asking.wanted().digest_source, DigestSource::kUrl);
    EXPECT_EQ(asking.note(), "") << "it is there already";
  }
}

TEST(AptResolution, ByHashNotesAFolderOnceTheReleaseNamesIt) {
  const std::string path = "/dists/stable/main/binary-amd64/by-hash/SHA256/" + kOtherHex;
  Asking asking(path);
  asking.notes({}).document(release({kPackages}));
  EXPECT_EQ(asking.wanted().digest->hex(), kOtherHex) << "an older one than the Release that is served";
  EXPECT_EQ(asking.note(), "dists/stable\nmain/binary-amd64");

  Asking made_up("/dists/stable/x/binary-amd64/by-hash/SHA256/" + kHex);
  made_up.notes({}).document(release({kPackages}));
  EXPECT_EQ(made_up.note(), "");
}

TEST(AptResolution, ByHashDoesNotNeedTheRelease) {
  for (const int status : {0, 500, 403}) {
    Asking asking("/dists/stable/main/binary-amd64/by-hash/SHA256/" + kHex);
    asking.notes({}).status(status);
    EXPECT_EQ(asking.wanted().cls, Class::kDigest) << status;
    EXPECT_EQ(asking.note(), "");
  }
}

// -- pool --

TEST(AptResolution, AFileOfThePoolIsHeldAgainstTheIndexesThatAreUsed) {
  for (const auto& [note, file, prefix, root] :
       {std::tuple("dists/stable main/binary-amd64", "pool/x/x_1_amd64.deb", "/dists/stable", ""),
        std::tuple("dists/stable main/binary-amd64", "pool/x/x_1_all.deb", "/dists/stable", ""),
        std::tuple("debian/dists/stable main/binary-amd64", "pool/x/x_1_amd64.deb", "/debian/dists/stable",
                   "/debian"),
        std::tuple("dists/stable main/debian-installer/binary-amd64", "pool/x/x_1_amd64.udeb",
                   "/dists/stable", "")}) {
    const std::string folder = std::string(note).substr(std::string(note).find(' ') + 1);
    Asking asking(root + ("/" + std::string(file)));
    asking.notes({"dists/stable main/binary-arm64", note});
    EXPECT_EQ(asking.fetch().wanted.name, std::string(prefix) + "/InRelease");
    asking.document(release({(folder + "/Packages.xz").c_str(), (folder + "/Packages.gz").c_str()}));
    EXPECT_EQ(asking.fetch().wanted.target, std::string(prefix) + "/" + folder + "/by-hash/SHA256/" + kHex);
    EXPECT_EQ(asking.fetch().wanted.cls, Class::kDigest);
    asking.document(packages(file));
    EXPECT_EQ(asking.wanted().cls, Class::kVersioned) << file;
    ASSERT_TRUE(asking.wanted().digest) << file;
    EXPECT_EQ(asking.wanted().digest->hex(), kFileHex);
    EXPECT_EQ(asking.wanted().digest_source, DigestSource::kIndex);
  }
}

TEST(AptResolution, SourcesAreHeldAgainstSources) {
  const std::string sources = "Package: x\nDirectory: pool/x\nChecksums-Sha256:\n " + kFileHex +
                              " 10 x_1.dsc\n " + kFileHex + " 10 x_1.orig.tar.xz\n";
  for (const char* file : {"/pool/x/x_1.dsc", "/pool/x/x_1.orig.tar.xz"}) {
    Asking asking(file);
    asking.notes({"dists/stable main/binary-amd64", "dists/stable main/source"});
    asking.document(release({kPackages, "main/source/Sources.gz"})).document(sources);
    ASSERT_TRUE(asking.wanted().digest) << file;
    EXPECT_EQ(asking.wanted().digest->hex(), kFileHex);
  }
}

TEST(AptResolution, FlatRepositoriesNameFilesFromTheirFolderOrFromTheOneAbove) {
  for (const auto& [note, path, named] : {std::tuple(" ", "/x_1_amd64.deb", "./x_1_amd64.deb"),
                                          std::tuple("flat ", "/flat/x_1_amd64.deb", "./x_1_amd64.deb"),
                                          std::tuple("flat ", "/flat/x_1_amd64.deb", "flat/x_1_amd64.deb")}) {
    Asking asking(path);
    asking.notes({note}).document(release({"Packages"})).document(packages(named));
    ASSERT_TRUE(asking.wanted().digest) << path << " " << named;
  }
}

TEST(AptResolution, AFileIsLookedForInOneIndexAfterTheOther) {
  Asking asking("/pool/x/x_1_amd64.deb");
  asking.notes({"dists/stable main/binary-amd64", "dists/updates main/binary-amd64"});
  EXPECT_EQ(asking.fetch().wanted.name, "/dists/updates/InRelease") << "the newest note first";
  asking.document(release({kPackages})).document(packages("pool/y/y_1_amd64.deb"));
  EXPECT_EQ(asking.fetch().wanted.name, "/dists/stable/InRelease");
  asking.document(release({kPackages})).document(packages("pool/x/x_1_amd64.deb"));
  EXPECT_TRUE(asking.wanted().digest);
}

TEST(AptResolution, AnIndexThatCannotBeHadInOneFormIsHadInAnother) {
  Asking asking("/pool/x/x_1_amd64.deb");
  asking.notes({"dists/stable main/binary-amd64"});
  asking.document(release({"main/binary-amd64/Packages.xz", "main/binary-amd64/Packages"}, false));
  EXPECT_EQ(asking.fetch().wanted.target, "/dists/stable/main/binary-amd64/Packages.xz");
  asking.status(404);
  EXPECT_EQ(asking.fetch().wanted.target, "/dists/stable/main/binary-amd64/Packages");
  EXPECT_TRUE(asking.document(packages("pool/x/x_1_amd64.deb")).wanted().digest);
}

TEST(AptResolution, AFileThatNoIndexNamesIsServedByItsVersionAlone) {
  Asking unused("/pool/x/x_1_amd64.deb");
  EXPECT_FALSE(unused.notes({}).wanted().digest);
  EXPECT_EQ(unused.wanted().cls, Class::kVersioned);

  Asking unlisted("/pool/x/x_1_amd64.deb");
  unlisted.notes({"dists/stable main/binary-amd64"})
      .document(release({kPackages}))
      .document(packages("pool/y.deb"));
  EXPECT_FALSE(unlisted.wanted().digest);

  Asking silent("/pool/x/x_1_amd64.deb");
  silent.notes({"dists/stable main/binary-amd64"}).status(0);
  EXPECT_FALSE(silent.wanted().digest);

  Asking elsewhere("/other/pool/x/x_1_amd64.deb");
  EXPECT_FALSE(elsewhere.notes({"debian/dists/stable main/binary-amd64"}).wanted().digest);
}

TEST(AptResolution, NotesWithoutEndCostAnEndOfQuestions) {
  Found found;
  for (int i = 0; i < 500; ++i)
    found.fields.emplace_back("dists/" + std::to_string(i) + "\nmain/binary-amd64", "");
  const auto resolution =
      resolve(Format::kApt, Question{"/pool/x_amd64.deb", "/pool/x_amd64.deb", "", "", ""});
  resolution->advance({});
  Step step = resolution->advance(found);
  int questions = 0;
  Found absent;
  absent.status = 404;
  for (; std::holds_alternative<Fetch>(step); ++questions) step = resolution->advance(absent);
  EXPECT_TRUE(std::holds_alternative<Serve>(step));
  EXPECT_LT(questions, 60);
}

// The name keeps an escape that is the file's own.
TEST(AptResolution, AFileMayHaveAnEscapeInItsName) {
  Asking asking("/pool/x_1%3a2_amd64.deb", "/pool/x_1%253a2_amd64.deb");
  asking.notes({"dists/stable main/binary-amd64"}).document(release({kPackages}));
  asking.document(packages("pool/x_1%3a2_amd64.deb"));
  EXPECT_TRUE(asking.wanted().digest);
  EXPECT_EQ(asking.wanted().target, "/pool/x_1%253a2_amd64.deb");
}

// -- what could leave the repository, and folders --

TEST(AptResolution, OtherPathsAreMutable) {
  for (const char* path :
       {"/", "/dists/", "/dists/stable/", "/a%2fb/InRelease", "/dists/x/by-hash/SHA256/zz"}) {
    const Asking asking(path);
    EXPECT_EQ(asking.wanted().cls, Class::kMutable) << path;
    EXPECT_EQ(asking.wanted().target, path);
  }
}

}  // namespace
}  // namespace entrepot::resolver
