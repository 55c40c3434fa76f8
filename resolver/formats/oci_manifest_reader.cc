#include "resolver/formats/oci_manifest_reader.h"

#include <array>
#include <utility>

#include "resolver/formats/oci_path.h"

namespace entrepot::resolver {

namespace {

constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxMediaTypeBytes = 255;  // RFC 6838 4.2: 127 and 127

using Member = OciManifestReader::Member;

Member member_named(std::string_view name) noexcept {
  constexpr std::array<std::pair<std::string_view, Member>, 9> kMembers{{
      {"schemaVersion", Member::kSchemaVersion},
      {"mediaType", Member::kMediaType},
      {"artifactType", Member::kArtifactType},
      {"config", Member::kConfig},
      {"subject", Member::kSubject},
      {"manifests", Member::kManifests},
      {"layers", Member::kLayers},
      {"blobs", Member::kBlobs},
      {"fsLayers", Member::kFsLayers},
  }};
  for (const auto& [known, member] : kMembers) {
    if (known == name) return member;
  }
  return Member::kOther;
}

}  // namespace

bool OciManifestReader::null() {
  if (depth_ != 1) return scalar();
  null_ |= 1u << member_;
  return true;
}

// A value that is neither a string nor a number without a sign.
bool OciManifestReader::scalar() const noexcept {
  if (depth_ == 0) return false;
  if (depth_ == 1) return member_ == kOther;
  if (at_fields()) return open_->field == kNone;
  return depth_ != 2 || !is_list();
}

bool OciManifestReader::number_unsigned(number_unsigned_t value) {
  if (depth_ == 1 && member_ == kSchemaVersion) {
    schema_version = value;
    return true;
  }
  if (!at_fields() || open_->field != kSize) return scalar();
  open_->descriptor.size_bytes = value;
  return value <= INT64_MAX;
}

bool OciManifestReader::string(string_t& value) {
  if (at_fields() && open_->field != kNone) return set_string(value);
  if (depth_ != 1 || (member_ != kMediaType && member_ != kArtifactType)) return scalar();
  (member_ == kMediaType ? manifest.media_type : manifest.artifact_type) = value;
  return value.size() <= kMaxMediaTypeBytes;
}

bool OciManifestReader::set_string(const std::string& value) {
  if (open_->field == kType) {
    open_->descriptor.media_type = value;
    return value.size() <= kMaxMediaTypeBytes;
  }
  const auto digest = parse_oci_digest(value);
  if (open_->field != kDigest || !digest) return false;
  open_->descriptor.digest = *digest;
  return true;
}

bool OciManifestReader::start_object(std::size_t) {
  if (at_fields() && open_->field != kNone) return false;
  if (depth_ == 1 && !is_descriptor() && member_ != kOther) return false;
  const bool opens = (depth_ == 1 && is_descriptor()) || (depth_ == 2 && is_list() && member_ != kFsLayers);
  if (opens) {
    open_.emplace();
    fields_depth_ = depth_ + 1;
  }
  return ++depth_ <= kMaxDepth;
}

bool OciManifestReader::end_object() {
  const bool closes = at_fields();
  --depth_;
  return !closes || store();
}

bool OciManifestReader::start_array(std::size_t) {
  if (depth_ == 0 || (at_fields() && open_->field != kNone)) return false;
  if (depth_ == 1 && !is_list() && member_ != kOther) return false;
  if (depth_ == 2 && is_list()) return false;
  return ++depth_ <= kMaxDepth;
}

bool OciManifestReader::end_array() {
  --depth_;
  return true;
}

// What counts may not come twice: readers differ in which of the two they take.
bool OciManifestReader::key(string_t& name) {
  if (depth_ == 1) {
    member_ = member_named(name);
    const bool twice = member_ != kOther && has(member_);
    seen_ |= 1u << member_;
    return !twice;
  }
  if (!at_fields()) return true;
  open_->field = name == "mediaType" ? kType : name == "digest" ? kDigest : name == "size" ? kSize : kNone;
  const bool twice = open_->field != kNone && (open_->seen & 1u << open_->field) != 0;
  open_->seen |= 1u << open_->field;
  return !twice;
}

bool OciManifestReader::store() {
  constexpr uint32_t kRequired = 1u << kDigest | 1u << kSize;
  if ((open_->seen & kRequired) != kRequired) return false;
  OciDescriptor descriptor = std::move(open_->descriptor);
  open_.reset();
  if (member_ == kConfig) {
    manifest.config = std::move(descriptor);
  } else if (member_ == kSubject) {
    manifest.subject = std::move(descriptor);
  } else {
    (member_ == kManifests ? manifest.manifests : manifest.layers).push_back(std::move(descriptor));
  }
  return true;
}

}  // namespace entrepot::resolver
