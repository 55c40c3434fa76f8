#include "proxy/commands/import.h"

#include <chrono>

#include "cache/records.h"
#include "proxy/commands/archive.h"

namespace entrepot::commands {

namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxRecordsBytes = 64u << 20;
constexpr auto kTellEvery = 500ms;

class Importer {
 public:
  Importer(cache::Cache& cache, int fd, int cancel_fd, bool grants,
           const std::function<bool(const Json&)>& tell)
      : cache_(cache), reader_(fd, cancel_fd), with_grants_(grants), tell_(tell) {}

  Json run() {
    std::string error = read_marker();
    while (error.empty() && !gone_) {
      const auto member = reader_.next();
      if (!member) break;
      error = take(*member);
      tell_position();
    }
    if (error.empty()) error = reader_.error();
    cache_.flush();
    return {{"blobs", blobs_},
            {"bytes", bytes_},
            {"known_blobs", known_blobs_},
            {"names", names_},
            {"known_names", known_names_},
            {"grants", grants_},
            {"refused", refused_},
            {"error", error}};
  }

 private:
  std::string read_marker() {
    const auto member = reader_.next();
    if (!member || member->path != kMarker) return "no archive of \"entrepot cache export\"";
    const auto text = reader_.read_all(kMaxRecordsBytes);
    if (text && *text != kMarkerText) return "an archive of a newer format";
    return reader_.error();
  }

  std::string take(const ArchiveReader::Member& member) {
    const std::string_view path = member.path;
    if (path.starts_with(kBlobs)) return take_blob(path.substr(kBlobs.size()), member.size_bytes);
    if (path.starts_with(kNames))
      return take_records(member.path, [this](auto key, auto payload) { take_name(key, payload); });
    if (path.starts_with(kGrants) && with_grants_)
      return take_records(member.path, [this](auto key, auto) { take_grant(key); });
    return "";
  }

  std::string take_blob(std::string_view hex, uint64_t size_bytes) {
    const auto digest = Digest::from_hex(DigestAlgorithm::kSha256, hex);
    if (!digest) return refuse("blob " + std::string(hex), "its name is no SHA-256");
    if (cache_.open_blob(*digest)) {
      ++known_blobs_;
      return "";
    }
    if (size_bytes > cache_.options().max_size_bytes)
      return refuse("blob " + digest->str(), "it is larger than the store may be");
    const auto fill = cache_.fill_unnamed();
    if (auto begun = fill->set_head({"", size_bytes, *digest, ""}); !begun) return no_room(begun.error());
    uint64_t offset = 0;
    while (true) {
      const auto bytes = reader_.read();
      if (!bytes) return reader_.error();
      if (bytes->empty()) break;
      if (auto written = fill->write(offset, *bytes); !written) return no_room(written.error());
      offset += bytes->size();
      if (!tell_position()) return "it was broken off";
    }
    if (auto done = fill->finish(); !done)
      return refuse("blob " + digest->str(),
                    done.error() == Error::kDigestMismatch
                        ? "its bytes have another SHA-256"
                        : "it could not be verified: " + std::string(to_string(done.error())));
    if (!cache_.open_blob(*digest)) return no_room(Error::kIo);
    ++blobs_;
    bytes_ += size_bytes;
    return "";
  }

  std::string take_records(const std::string& path,
                           const std::function<void(std::string_view, std::string_view)>& visit) {
    const auto content = reader_.read_all(kMaxRecordsBytes);
    if (!content) return reader_.error();
    const uint64_t damaged = for_each_record(*content, visit);
    return damaged == 0 ? "" : refuse(path, std::to_string(damaged) + " records are damaged");
  }

  void take_name(std::string_view key, std::string_view payload) {
    const size_t nul = key.find('\0');
    const auto response = cache::ResponseRecord::decode(payload);
    if (nul == std::string_view::npos || nul == 0 || !response || response->blob.provisional()) {
      refuse("a name", "it is malformed");
      return;
    }
    const cache::Name name{std::string(key.substr(0, nul)), std::string(key.substr(nul + 1))};
    if (cache_.lookup(name)) {  // what it is, or must be, is known better here
      ++known_names_;
      return;
    }
    const auto digest = response->blob.digest();
    if (digest && !cache_.open_blob(*digest)) {
      refuse("name " + name.space + " " + name.text, "its blob is not there");
      return;
    }
    cache_.put_response(name, response->metadata, digest);
    ++names_;
  }

  void take_grant(std::string_view key) {
    const size_t nul = key.find('\0');
    if (nul == std::string_view::npos || nul + 2 > key.size()) return;
    const auto bytes = std::as_bytes(std::span(key.substr(nul + 2)));
    const auto algorithm = digest_algorithm(static_cast<uint8_t>(key[nul + 1]));
    const auto digest =
        algorithm
            ? Digest::from_bytes(*algorithm, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()})
            : std::nullopt;
    if (!digest || cache_.has_grant(key.substr(0, nul), *digest)) return;
    cache_.put_grant(key.substr(0, nul), *digest);
    ++grants_;
  }

  std::string refuse(const std::string& what, const std::string& why) {
    ++refused_;
    gone_ |= !tell_({{"refused", what}, {"why", why}});
    return "";
  }

  static std::string no_room(Error error) {
    return "the store cannot take more: " + std::string(to_string(error));
  }

  // False: nobody listens any more.
  bool tell_position() {
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ < kTellEvery) return !gone_;
    told_ = now;
    gone_ |= !tell_({{"at", reader_.position_bytes()}});
    return !gone_;
  }

  cache::Cache& cache_;
  ArchiveReader reader_;
  const bool with_grants_;
  const std::function<bool(const Json&)>& tell_;
  bool gone_ = false;
  std::chrono::steady_clock::time_point told_ = std::chrono::steady_clock::now();
  uint64_t blobs_ = 0, bytes_ = 0, known_blobs_ = 0, names_ = 0, known_names_ = 0, grants_ = 0, refused_ = 0;
};

}  // namespace

Json import_archive(cache::Cache& cache, int fd, int cancel_fd, bool grants,
                    const std::function<bool(const Json&)>& tell) {
  return Importer(cache, fd, cancel_fd, grants, tell).run();
}

}  // namespace entrepot::commands
