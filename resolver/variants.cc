#include "resolver/variants.h"

#include <algorithm>

#include "cache/cache.h"
#include "resolver/freshness.h"

namespace entrepot::resolver {

namespace {
constexpr int kRecordStatus = 0;  // no response's
}

StoredResponse record_of(const Variants& variants) {
  StoredResponse record;
  record.status = kRecordStatus;
  record.fields.emplace_back("epoch", variants.epoch);
  for (const std::string& name : variants.names) record.fields.emplace_back("vary", name);
  return record;
}

std::optional<Variants> variants_of(const StoredResponse& record) {
  if (record.status != kRecordStatus) return std::nullopt;
  Variants variants;
  variants.epoch = find(record.fields, "epoch");
  for (const auto& [kind, name] : record.fields) {
    if (kind == "vary") variants.names.push_back(name);
  }
  return variants.empty() ? std::nullopt : std::optional(std::move(variants));
}

std::vector<std::string> united(const Variants& known, const Fields& response_fields) {
  std::vector<std::string> names = vary_names(response_fields, true);
  names.insert(names.end(), known.names.begin(), known.names.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::string variant_name(std::string_view name, const Variants& variants,
                         const std::function<std::string(std::string_view)>& value_of) {
  std::string full(name);
  full.append(cache::kVariantMark).append(variants.epoch).append("\n").append(variant_key(variants.names, value_of));
  return full;
}

}  // namespace entrepot::resolver
