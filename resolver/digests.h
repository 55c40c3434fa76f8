// Digests that an upstream's answer, or the URL itself, promises for a whole content. Pure; thread-safe.
#pragma once

#include <optional>
#include <string_view>

#include "resolver/stored_response.h"

namespace entrepot::resolver {

struct PromisedDigest {
  std::optional<Digest> digest;
  DigestSource source = DigestSource::kNone;  // kUrl or kHeader
  // Two promises of one algorithm name different digests. Two fields: neither is believed. A field against
  // the URL: the URL's is.
  bool disagree = false;
};

// A digest in the path, by the layouts that have one: `/v2/<name>/blobs/sha256:<hex>`,
// `/v2/<name>/manifests/sha512:<hex>`,
// `.../by-hash/SHA256/<hex>` (SHA512 likewise). Lower-case hex of the exact length. `path`: without a query.
std::optional<Digest> digest_in_path(std::string_view path) noexcept;

// What the fields of an answer promise, and the URL before them. SHA-256 is preferred to SHA-512, that to
// SHA-1 and MD5.
//   X-Checksum-Sha256, -Sha1, -Md5 (hex)                              of the whole file, also in a 206
//   X-Goog-Meta-Checksum-Sha256, -Sha1, -Md5 (hex),
//   X-Goog-Hash (`md5=<base64>`)                                      likewise; not where it is stored coded
//   Docker-Content-Digest (`sha256:<hex>`)                            likewise
//   Repr-Digest (RFC 9530)                                            of the whole representation, also in a
//   206 Content-Digest (RFC 9530), x-amz-checksum-sha256 (base64)         only in a 200: elsewhere, of a part
// In an answer with a content coding only Repr-Digest counts: the others may be of the file before coding.
// What does not have the exact form (S3's composite "<base64>-<parts>", say) promises nothing.
// REQUIRES: lower-case field names.
PromisedDigest find_promised(const std::optional<Digest>& in_url, int status, const Fields& fields);

// The digest that the fields promise; empty where there is none or where they disagree.
std::optional<Digest> promised_digest(int status, const Fields& fields);

}  // namespace entrepot::resolver
