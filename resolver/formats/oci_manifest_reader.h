// The members of a manifest, read as they come, so that what is not asked for takes no memory.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "resolver/formats/oci_manifest.h"

namespace entrepot::resolver {

// Handler of nlohmann::json::sax_parse; answers false (and the parser stops) for whatever is malformed.
class OciManifestReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  enum Member : uint8_t {
    kOther,
    kSchemaVersion,
    kMediaType,
    kArtifactType,
    kConfig,
    kSubject,
    kManifests,
    kLayers,
    kBlobs,
    kFsLayers,
  };

  // The member is there; `given`: and not null.
  bool has(Member member) const noexcept { return (seen_ & 1u << member) != 0; }
  bool given(Member member) const noexcept { return has(member) && (null_ & 1u << member) == 0; }

  OciManifest manifest;  // media_type is the document's own
  uint64_t schema_version = 0;

  bool null() override;
  bool boolean(bool) override { return scalar(); }
  bool number_integer(number_integer_t) override { return scalar(); }
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t, const string_t&) override { return scalar(); }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool key(string_t& name) override;
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  enum Field : uint8_t { kNone, kType, kDigest, kSize };
  struct Unfinished {
    Unfinished() {}  // its own: clang does not take initialisers of members for one yet, within the class
    OciDescriptor descriptor;
    uint32_t seen = 0;  // fields, a bit each
    Field field = kNone;
  };

  bool is_list() const noexcept { return member_ >= kManifests && member_ <= kFsLayers; }
  bool is_descriptor() const noexcept { return member_ == kConfig || member_ == kSubject; }
  // At the members of a descriptor, not deeper.
  bool at_fields() const noexcept { return open_ && depth_ == fields_depth_; }
  bool scalar() const noexcept;
  bool set_string(const std::string& value);
  bool store();

  size_t depth_ = 0;
  Member member_ = kOther;  // of the root, where we are
  uint32_t seen_ = 0, null_ = 0;
  std::optional<Unfinished> open_;
  size_t fields_depth_ = 0;
};

}  // namespace entrepot::resolver
