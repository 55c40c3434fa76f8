#include "proxy/admin/purge_request.h"

#include <nlohmann/json.hpp>

namespace entrepot::admin {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kExpected = "expected one of url, prefix, tag, repository, zone, digest";

std::optional<PurgeOrder::By> by_of(std::string_view name) {
  for (size_t i = 0; i < PurgeOrder::kBys; ++i) {
    const auto by = static_cast<PurgeOrder::By>(i);
    if (to_string(by) == name) return by;
  }
  return std::nullopt;
}

class Reader {
 public:
  PurgeRequest read(const Json& object) {
    if (!object.is_object()) return failed("a JSON object is expected, as {\"url\": \"https://...\"}");
    for (const auto& [name, value] : object.items()) {
      if (!request_.error.empty()) break;
      if (name == "soft") {
        if (!value.is_boolean()) return failed("\"soft\" is true or false");
        request_.order.soft = value.get<bool>();
      } else if (name == "path") {
        take_path(value);
      } else if (const auto by = by_of(name)) {
        take_values(name, *by, value);
      } else {
        return failed("\"" + name + "\" is unknown: " + std::string(kExpected) + "; path; soft");
      }
    }
    if (!request_.error.empty()) return std::move(request_);
    if (!is_said_) return failed("what is to be purged? " + std::string(kExpected));
    if (!request_.order.path.empty() && request_.order.by != PurgeOrder::By::kRepository)
      return failed("\"path\" goes with \"repository\" alone");
    return std::move(request_);
  }

 private:
  PurgeRequest failed(std::string why) {
    request_.error = std::move(why);
    return std::move(request_);
  }

  void take_path(const Json& value) {
    if (!value.is_string() || !value.get_ref<const std::string&>().starts_with('/')) {
      refuse("\"path\" is a text that begins with a slash");
      return;
    }
    request_.order.path = value.get<std::string>();
  }

  void take_values(const std::string& name, PurgeOrder::By by, const Json& value) {
    if (std::exchange(is_said_, true))
      return refuse("\"" + name + "\" and \"" + std::string(to_string(request_.order.by)) +
                        "\" together: one at a time");
    request_.order.by = by;
    const Json all = value.is_array() ? value : Json::array({value});
    const bool one = by != PurgeOrder::By::kUrl && by != PurgeOrder::By::kPrefix && by != PurgeOrder::By::kTag;
    if (all.empty() || all.size() > (one ? 1 : kMaxPurgeValues))
      return refuse("\"" + name + "\" has " + std::to_string(all.size()) + " values: 1" +
                        (one ? "" : " to " + std::to_string(kMaxPurgeValues)) + " can be given");
    for (const Json& each : all) {
      const std::string text = each.is_string() ? each.get<std::string>() : "";
      if (text.empty() || text.size() > kMaxPurgeValueBytes)
        return refuse("\"" + name + "\" is a text of 1 to " + std::to_string(kMaxPurgeValueBytes) +
                          " bytes, or an array of such");
      request_.order.values.push_back(text);
    }
  }

  void refuse(std::string why) { request_.error = std::move(why); }

  PurgeRequest request_;
  bool is_said_ = false;
};

}  // namespace

PurgeRequest read_purge_json(std::string_view body) {
  return Reader().read(Json::parse(body, nullptr, false));
}

PurgeRequest read_purge_query(const std::vector<std::pair<std::string, std::string>>& parameters) {
  Json object = Json::object();
  for (const auto& [name, value] : parameters) {
    if (name == "soft") {
      const bool on = value == "1" || value == "true";
      object[name] = on || value == "0" || value == "false" ? Json(on) : Json(value);
    } else if (name == "path") {
      object[name] = value;
    } else {
      object[name].push_back(value);
    }
  }
  return Reader().read(object);
}

}  // namespace entrepot::admin
