#include "proxy/serve/conditional.h"

#include "resolver/http_date.h"
#include "resolver/text.h"

namespace entrepot::serve {

namespace {

using Matcher = bool (*)(std::string_view, std::string_view) noexcept;

std::optional<std::time_t> date_of(const http::Request& request, std::string_view name) noexcept {
  return resolver::parse_http_date(resolver::trimmed(sole_field(request, name)));
}

// "*", or a list of entity tags; a list may stand in several fields.
bool any_matches(const http::Request& request, std::string_view name, std::string_view etag,
                 Matcher match) noexcept {
  for (const auto& field : request.fields) {
    if (field.name != name) continue;
    std::string_view list = field.value, element;
    if (resolver::trimmed(list) == "*") return true;
    while (resolver::next_element(list, element)) {
      if (match(element, etag)) return true;
    }
  }
  return false;
}

bool preconditions_hold(const http::Request& request, const Validators& validators) noexcept {
  if (request.has("if-match")) return any_matches(request, "if-match", validators.etag, strong_match);
  const auto limit = date_of(request, "if-unmodified-since");
  if (!limit) return true;
  const auto modified = resolver::parse_http_date(validators.last_modified);
  return !modified || *modified <= *limit;
}

bool is_modified(const http::Request& request, const Validators& validators) noexcept {
  if (request.has("if-none-match"))
    return !any_matches(request, "if-none-match", validators.etag, weak_match);
  const auto since = date_of(request, "if-modified-since");
  if (!since) return true;
  const auto modified = resolver::parse_http_date(validators.last_modified);
  return !modified || *modified > *since;
}

bool has_conditions(const http::Request& request) noexcept {
  for (const auto& field : request.fields) {
    if (field.name.starts_with("if-")) return true;
  }
  return false;
}

}  // namespace

Condition evaluate_conditions(const http::Request& request, const Validators& validators) noexcept {
  if (!has_conditions(request)) return Condition::kServe;
  if (!preconditions_hold(request, validators)) return Condition::kFailed;
  return is_modified(request, validators) ? Condition::kServe : Condition::kNotModified;
}

std::string_view sole_field(const http::Request& request, std::string_view name) noexcept {
  std::string_view found;
  for (const auto& field : request.fields) {
    if (field.name != name) continue;
    if (found.data() != nullptr) return "";
    found = field.value;
  }
  return found;
}

bool strong_match(std::string_view a, std::string_view b) noexcept {
  const auto one = resolver::parse_entity_tag(a), other = resolver::parse_entity_tag(b);
  return one && other && !one->weak && !other->weak && one->opaque == other->opaque;
}

bool weak_match(std::string_view a, std::string_view b) noexcept {
  const auto one = resolver::parse_entity_tag(a), other = resolver::parse_entity_tag(b);
  return one && other && one->opaque == other->opaque;
}

}  // namespace entrepot::serve
