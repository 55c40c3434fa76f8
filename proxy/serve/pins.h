// Pins: which content of a document a downstream connection was given last. What is asked for on it later is
// resolved by that content, whatever has come since: an apt client with an old Release gets the lists of the
// old one. A pin lasts as long as the connection, or until the document is given on it again; it holds the
// content's file open. Where a request says that it came through a proxy, the connection is not one client's:
// nothing is pinned to it.
//
// Immutable: a request keeps those that were there when it came. Loop thread only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/blob.h"
#include "proxy/fill/fill_watch.h"
#include "proxy/http/stream.h"
#include "proxy/serve/response.h"

namespace entrepot::serve {

struct Pin {
  std::string space, heading;
  std::shared_ptr<const PreparedResponse> prepared;
  std::shared_ptr<cache::Blob> blob;
  std::shared_ptr<fill::FillWatch> watch;  // while the blob is arriving, and after
};

class Pins {
 public:
  // Those of the stream's connection. Null: it has none.
  static std::shared_ptr<const Pins> of(const http::Stream& stream);
  // Pins to the stream's connection, in place of the pin that has this heading. What is stored in part only
  // is not pinned.
  static void add(http::Stream& stream, Pin pin);

  // Null: none.
  const Pin* find(std::string_view space, std::string_view heading) const noexcept;
  // Appends what tells answers that rest on these contents from others.
  void append_key(std::string_view space, std::string& key) const;

 private:
  static constexpr size_t kMaxPins = 32;  // of one connection; the oldest goes
  std::vector<Pin> pins_;                 // the newest last
};

}  // namespace entrepot::serve
