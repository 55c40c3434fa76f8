#include "proxy/serve/pins.h"

#include <algorithm>

namespace entrepot::serve {

namespace {

bool came_through_a_proxy(const http::Request& request) noexcept {
  return request.has("via") || request.has("forwarded") || request.has("x-forwarded-for");
}

}  // namespace

std::shared_ptr<const Pins> Pins::of(const http::Stream& stream) {
  const auto& state = stream.connection_state();
  if (!state || came_through_a_proxy(stream.request())) return nullptr;
  return std::static_pointer_cast<const Pins>(state);
}

void Pins::add(http::Stream& stream, Pin pin) {
  if (came_through_a_proxy(stream.request())) return;
  if (!pin.watch && pin.blob->state() != cache::BlobState::kVerified) return;
  const auto before = of(stream);
  auto after = before ? std::make_shared<Pins>(*before) : std::make_shared<Pins>();
  std::erase_if(after->pins_, [&pin](const Pin& other) {
    return other.space == pin.space && other.heading == pin.heading;
  });
  if (after->pins_.size() == kMaxPins) after->pins_.erase(after->pins_.begin());
  after->pins_.push_back(std::move(pin));
  stream.set_connection_state(std::move(after));
}

const Pin* Pins::find(std::string_view space, std::string_view heading) const noexcept {
  for (const Pin& pin : pins_) {
    if (pin.space == space && pin.heading == heading) return &pin;
  }
  return nullptr;
}

void Pins::append_key(std::string_view space, std::string& key) const {
  for (const Pin& pin : pins_) {
    if (pin.space != space) continue;
    const auto digest = pin.blob->digest();
    key.append("\n").append(pin.heading).append(" ");
    key.append(digest ? digest->str() : std::to_string(pin.blob->serial()));
  }
}

}  // namespace entrepot::serve
