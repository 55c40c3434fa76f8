// Records of the index: any bytes may stand there once a disk has had its say.
//
// Input: a line with a key, the record's bytes behind it.
#include "cache/records.h"
#include "resolver/stored_response.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using namespace cache;

void check_records(std::string_view bytes) {
  if (const auto key = BlobKey::from_key(bytes))
    require(key->key() == bytes, "a blob's key is written as read");
  if (const auto record = ResponseRecord::decode(bytes))
    require(record->encode().starts_with(bytes), "a response's record is written as read, of format 3 in the end");
  if (const auto record = BlobRecord::decode(bytes))
    require(record->encode() == bytes, "a blob's record is written as read");
  if (const auto group = decode_group(bytes))
    require(encode_group(*group) == bytes, "a group is written as read");
  if (const auto response = resolver::StoredResponse::decode(bytes)) {
    require(response->fields.size() <= bytes.size() / 8, "no more fields are read than there are");
    require(resolver::StoredResponse::decode(response->encode()) == response,
            "a stored response comes back as it was");
  }
}

void check_seal(const std::string& key, std::string_view payload) {
  const std::string stored = stored_key(key);
  require(!stored.empty() && stored.size() <= kMaxKeyBytes, "LMDB can hold every key");
  require(stored == key || static_cast<uint8_t>(stored[0]) == 0xFF, "a key that is hashed says so");
  std::string sealed = seal(key, payload);
  require(unseal(key, sealed) == payload, "what was sealed comes back");
  require(unseal(key + "x", sealed) != payload, "a value is of one key");
  if (payload.empty()) return;
  const size_t at = static_cast<uint8_t>(payload[0]) * sealed.size() / 256;
  sealed[at] = static_cast<char>(sealed[at] ^ 1 << (payload.size() & 7));
  require(!unseal(key, sealed), "a flipped bit is noticed");
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  std::string_view bytes = text_of(data, size);
  const std::string key(take_line(bytes));
  if (const auto payload = cache::unseal(key, bytes))
    require(cache::seal(key, *payload) == bytes, "a sealed value is written as read");
  check_records(bytes);
  check_seal(key, bytes);
  return 0;
}
