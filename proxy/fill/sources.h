// Sources: where the bytes of one fill may come from, and whom to ask next. Loop thread only.
//
// The servers of the name's own upstream come first; then those of other repositories ("lenders") that may
// stand in because the digest is known. Among them who failed least is asked, so a broken download goes on
// at another server at once, and comes back to one that was restarted. A source that answers three times in
// turn without bringing anything is done with; one that cannot be reached costs nobody anything and is tried
// as long as the fill has patience.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "proxy/fill/origin.h"

namespace entrepot::fill {

struct Source {
  const Origin* origin = nullptr;
  const config::UpstreamServer* server = nullptr;
  std::string key;             // source_key(): what Standing and the log know it by
  bool lends = false;          // another repository's
  bool last = false;           // behind all others that failed as often
  bool out = false;            // not to be asked any more by this fill
  std::string validator;       // strong, of what it sends; empty: not known
  uint64_t brought_bytes = 0;  // that nobody had brought before
  int failures = 0;            // since it last brought something
  int refusals = 0;            // those of them in which it answered
};

class Sources {
 public:
  static constexpr int kExtraTries = 2;  // of a source that answers, and brings nothing

  // Pointers to Sources stay good for the life of this object.
  void add(Source source) { all_.push_back(std::move(source)); }
  // Who failed least; among equals those that come last behind the others, lenders behind the own; then the
  // one that was picked before, then in their order. Null: none is left.
  Source* pick();
  bool is_alone(const Source& source) const;
  // Whom pick() chose last.
  const Source* picked() const noexcept { return picked_; }
  // Is anybody left who has not failed since it last brought something?
  bool has_untried() const;
  void note_failure(Source& source, bool answered);
  void note_progress(Source& source, uint64_t bytes);
  // Who brought bytes.
  std::vector<Source*> contributors();
  bool empty() const noexcept { return all_.empty(); }

 private:
  std::deque<Source> all_;
  Source* picked_ = nullptr;
};

}  // namespace entrepot::fill
