#include "resolver/formats/accept.h"

#include <algorithm>
#include <optional>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

// Cuts up to the next semicolon that stands in no quoted string; trimmed.
std::string_view next_part(std::string_view& rest) noexcept {
  size_t at = 0;
  bool quoted = false;
  for (; at < rest.size() && (quoted || rest[at] != ';'); ++at) {
    if (quoted && rest[at] == '\\') ++at;
    if (at < rest.size() && rest[at] == '"') quoted = !quoted;
  }
  at = std::min(at, rest.size());
  const std::string_view part = trimmed(rest.substr(0, at));
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

struct Parameter {
  std::string_view name, value;
};

Parameter parameter_of(std::string_view part) noexcept {
  const size_t equals = part.find('=');
  if (equals == part.npos) return {part, {}};
  std::string_view value = part.substr(equals + 1);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  return {part.substr(0, equals), value};
}

// RFC 9110 12.4.2: "0", "0.5", "1.000"; empty for anything else.
std::optional<double> parse_weight(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int thousandths = (text[0] - '0') * 1000, unit = 100;
  for (const char c : text.substr(std::min<size_t>(2, text.size()))) {
    if (!is_digit(c)) return std::nullopt;
    thousandths += (c - '0') * unit;
    unit /= 10;
  }
  if (thousandths > 1000) return std::nullopt;
  return thousandths / 1000.0;
}

bool has_parameter(std::string_view parameters, const Parameter& wanted) noexcept {
  while (!parameters.empty()) {
    const Parameter parameter = parameter_of(next_part(parameters));
    if (equals_ignoring_case(parameter.name, wanted.name) && parameter.value == wanted.value) return true;
  }
  return false;
}

// 0: does not fit; 1: any type; 2: the type; 3: the subtype, and one more for each parameter.
int fit_of_type(std::string_view range, std::string_view type) noexcept {
  const size_t slash = range.find('/');
  if (slash == range.npos || slash == 0 || slash + 1 == range.size()) return 0;
  if (range == "*/*") return 1;
  if (range.substr(slash) == "/*") {
    return equals_ignoring_case(range.substr(0, slash), type.substr(0, type.find('/'))) ? 2 : 0;
  }
  return equals_ignoring_case(range, type) ? 3 : 0;
}

struct Fit {
  int specificity = 0;
  double weight = 1;
};

std::optional<Fit> fit_of(std::string_view element, std::string_view media_type) noexcept {
  const std::string_view type = next_part(media_type);
  Fit fit;
  fit.specificity = fit_of_type(next_part(element), type);
  if (fit.specificity == 0) return std::nullopt;
  while (!element.empty()) {
    const Parameter parameter = parameter_of(next_part(element));
    if (equals_ignoring_case(parameter.name, "q")) {
      const auto weight = parse_weight(parameter.value);
      if (!weight) return std::nullopt;
      fit.weight = *weight;
      return fit;
    }
    if (parameter.name.empty()) continue;
    if (!has_parameter(media_type, parameter)) return std::nullopt;
    ++fit.specificity;
  }
  return fit;
}

}  // namespace

double accept_quality(std::string_view accept_field, std::string_view media_type) noexcept {
  if (trimmed(accept_field).empty()) return 1;
  Fit best{0, 0};
  std::string_view element;
  while (next_element(accept_field, element)) {
    const auto fit = fit_of(element, media_type);
    if (!fit || fit->specificity < best.specificity) continue;
    const bool tie = fit->specificity == best.specificity;
    best = {fit->specificity, tie ? std::max(best.weight, fit->weight) : fit->weight};
  }
  return best.weight;
}

bool accepts(std::string_view accept_field, std::string_view media_type) noexcept {
  return accept_quality(accept_field, media_type) > 0;
}

}  // namespace entrepot::resolver
