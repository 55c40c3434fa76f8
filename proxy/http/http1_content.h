// The content of an HTTP/1 request, read strictly, as the head is (http1_head.h): a chunk's size, its
// extensions and the trailers are what the grammar has, or the message is malformed. Pure.
//
//   begin() --read()...--> kEnd | kBad
// Source: RFC 9112 6, 7.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace entrepot::http {

class Http1ContentReader {
 public:
  enum class Found : uint8_t { kMore, kEnd, kBad };
  // What is told while read() runs. `name` as it came.
  struct Sink {
    std::function<void(std::span<const std::byte>)> bytes;
    std::function<void(std::string_view name, std::string_view value)> trailer;
  };

  // `length`: Http1Head::kNoLength is content in chunks.
  void begin(uint64_t length);
  // Takes what follows from `input`, in pieces of any size, to the end of the content at most; `taken` is how
  // much. After kBad nothing that comes means anything.
  Found read(std::string_view input, const Sink& sink, size_t& taken);

 private:
  enum class Part : uint8_t { kBytes, kBytesEnd, kSize, kTrailers, kEnd, kBad };
  Part on_line(std::string_view line, const Sink& sink);
  Part on_size(std::string_view line);

  Part part_ = Part::kEnd;
  bool chunked_ = false;
  uint64_t left_ = 0;      // of the content, or of the chunk
  size_t line_bytes_ = 0;  // of extensions and trailers so far: what is around the content
  std::string line_;       // the beginning of one
};

}  // namespace entrepot::http
