#include "cache/file_blob.h"

#include <algorithm>

#include "cache/footer.h"
#include "cache/growing_blob.h"
#include "cache/seeded_fault.h"

namespace entrepot::cache {

namespace {

class FileBlob final : public Blob {
 public:
  FileBlob(DiskFile file, Footer footer) noexcept
      : file_(std::move(file)),
        length_(footer.length_bytes),
        seed_(footer.seed),
        digest_(footer.sha256),
        checksums_(std::move(footer.checksums)) {}

  BlobState state() const noexcept override { return BlobState::kVerified; }
  uint64_t length_bytes() const noexcept override { return length_; }
  std::optional<Digest> digest() const noexcept override { return digest_; }
  uint64_t readable_end(uint64_t offset) const noexcept override { return std::max(offset, length_); }
  Result<void> read(uint64_t chunk, size_t from, std::span<std::byte> out,
                    ReadWait wait) const noexcept override {
    return file_.read(chunk * kChunkBytes + from, out, wait);
  }
  bool has_checksum(uint64_t chunk) const noexcept override { return chunk < checksums_.size(); }
  bool footer(Footer& out) const noexcept override {
    out = {0, {}, length_, seed_, digest_, checksums_};
    return true;
  }
  bool verify_chunk(uint64_t chunk, std::span<const std::byte> whole) const noexcept override {
    return chunk < checksums_.size() && whole.size() == chunk_size_bytes(length_, chunk) &&
           (chunk_checksum(seed_, chunk, whole) == checksums_[chunk] ||
            has_fault(SeededFault::kChecksumsUnchecked));
  }

 private:
  const DiskFile file_;
  const uint64_t length_, seed_;
  const Digest digest_;
  const std::vector<uint64_t> checksums_;
};

class InlineBlob final : public Blob {
 public:
  InlineBlob(const Digest& sha256, std::string bytes) : digest_(sha256), bytes_(std::move(bytes)) {}

  BlobState state() const noexcept override { return BlobState::kVerified; }
  uint64_t length_bytes() const noexcept override { return bytes_.size(); }
  std::optional<Digest> digest() const noexcept override { return digest_; }
  uint64_t readable_end(uint64_t offset) const noexcept override {
    return std::max<uint64_t>(offset, bytes_.size());
  }
  Result<void> read(uint64_t chunk, size_t from, std::span<std::byte> out, ReadWait) const noexcept override {
    const uint64_t offset = chunk * kChunkBytes + from;
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return Error::kCorrupt;
    std::copy_n(inline_bytes().begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  }
  bool has_checksum(uint64_t) const noexcept override { return false; }
  bool verify_chunk(uint64_t, std::span<const std::byte>) const noexcept override { return false; }
  std::span<const std::byte> inline_bytes() const noexcept override {
    return std::as_bytes(std::span(bytes_));
  }

 private:
  const Digest digest_;
  const std::string bytes_;
};

}  // namespace

Result<std::shared_ptr<Blob>> open_complete(const std::string& path, const Digest& expected_sha256) noexcept {
  auto file = DiskFile::open_for_reading(path);
  if (!file) return file.error();
  auto footer = read_footer(*file);
  if (!footer) return footer.error();
  if (footer->sha256 != expected_sha256) return Error::kCorrupt;
  return std::shared_ptr<Blob>(std::make_shared<FileBlob>(std::move(*file), std::move(*footer)));
}

std::shared_ptr<Blob> make_inline(const Digest& sha256, std::string bytes) {
  return std::make_shared<InlineBlob>(sha256, std::move(bytes));
}

Result<std::shared_ptr<Blob>> open_partial(const std::string& path, const PartialBlob& partial) noexcept {
  auto file = DiskFile::open_for_reading(path);
  if (!file) return file.error();
  auto blob = GrowingBlob::over(std::move(*file), partial);
  if (!blob) return blob.error();
  return std::shared_ptr<Blob>(std::move(*blob));
}

}  // namespace entrepot::cache
