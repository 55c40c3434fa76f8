#include "proxy/fill/sources.h"

#include <algorithm>
#include <tuple>

namespace entrepot::fill {

Source* Sources::pick() {
  Source* best = nullptr;
  const auto rank = [this](const Source& source) {
    return std::tuple(source.failures, source.last, source.lends, &source != picked_);
  };
  for (Source& source : all_) {
    if (!source.out && (!best || rank(source) < rank(*best))) best = &source;
  }
  return picked_ = best;
}

bool Sources::has_untried() const {
  return std::any_of(all_.begin(), all_.end(),
                     [](const Source& source) { return !source.out && source.failures == 0; });
}

bool Sources::is_alone(const Source& source) const {
  return std::none_of(all_.begin(), all_.end(),
                      [&source](const Source& other) { return &other != &source && !other.out; });
}

void Sources::note_failure(Source& source, bool answered) {
  ++source.failures;
  if (answered && ++source.refusals > kExtraTries) source.out = true;
}

void Sources::note_progress(Source& source, uint64_t bytes) {
  if (bytes == 0) return;
  source.brought_bytes += bytes;
  source.failures = source.refusals = 0;
}

std::vector<Source*> Sources::contributors() {
  std::vector<Source*> who;
  for (Source& source : all_) {
    if (source.brought_bytes > 0) who.push_back(&source);
  }
  return who;
}

}  // namespace entrepot::fill
