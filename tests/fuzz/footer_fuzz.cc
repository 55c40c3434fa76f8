// The footer of a blob file: once as it comes, and once with length, checksum and magic made right, for
// otherwise a fuzzer never comes behind the checksum.
//
// Input: the bytes of a file.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/footer.h"
#include "tests/fuzz/fuzz.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace entrepot::fuzz {
namespace {

constexpr size_t kFixedBytes = 80;  // FORMAT.md, "Blob files"

// One file in memory, written anew for each input.
class File {
 public:
  File() : fd_(::memfd_create("blob", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(fd_)) {}
  ~File() { ::close(fd_); }
  File(const File&) = delete;

  const std::string& with(std::string_view bytes) {
    const auto size = static_cast<off_t>(bytes.size());
    if (::ftruncate(fd_, size) != 0 || ::pwrite(fd_, bytes.data(), bytes.size(), 0) != size) std::abort();
    return path_;
  }

 private:
  const int fd_;
  const std::string path_;
};

void check(File& file, std::string_view bytes) {
  const std::string& path = file.with(bytes);
  const auto opened = cache::DiskFile::open_for_reading(path);
  require(opened.has_value(), "a file in memory can be opened");
  const auto footer = cache::read_footer(*opened);
  const auto summary = cache::read_footer(path);
  require(footer.has_value() == summary.has_value(), "footer and summary agree");
  if (!footer) {
    require(footer.error() == Error::kCorrupt || footer.error() == Error::kUnsupported,
            "bytes are damaged or of a newer version");
    return;
  }
  require(summary->length_bytes == footer->length_bytes && summary->sha256 == footer->sha256 &&
              summary->name_hash == footer->name_hash && summary->metadata == footer->metadata,
          "footer and summary tell the same");
  require(footer->checksums.size() == cache::chunk_count(footer->length_bytes), "each chunk has a checksum");
  const std::string again = cache::encode_footer(*footer);
  require(footer->length_bytes + again.size() == bytes.size(), "content and footer are the file");
  require(bytes.ends_with(again), "a footer is written as read");
}

// The same file with the trailer that its last bytes would have as a footer.
std::string repaired(std::string_view bytes) {
  std::string footer(bytes);
  const auto put = [&footer](uint64_t value) { footer.append(reinterpret_cast<const char*>(&value), 8); };
  const size_t content = bytes.find("ENTRBLOB");
  put(content == bytes.npos ? bytes.size() : bytes.size() - content);
  const size_t begin = content == bytes.npos ? 0 : content;
  put(XXH3_64bits(footer.data() + begin, footer.size() - begin));
  return footer.append("ENTREND\n");
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot::fuzz;
  static File file;
  const std::string_view bytes = text_of(data, size);
  check(file, bytes);
  if (bytes.size() >= kFixedBytes) check(file, repaired(bytes));
  return 0;
}
