#include <cstdio>
#include <ctime>
#include <iostream>

#include "proxy/commands/cache_command.h"
#include "proxy/commands/output.h"
#include "resolver/stored_response.h"

namespace entrepot::commands {

namespace {

using cache::BlobState;

struct Row {
  std::string state;  // as the help tells
  uint64_t length = 0, stored = 0;
  std::optional<int64_t> asked;  // seconds since 1970
  std::optional<Digest> digest;
  std::optional<resolver::StoredResponse> response;

  Row(cache::Inspection& store, const cache::Inspection::StoredEntry& entry) {
    const cache::BlobKey& key = entry.response.blob;
    const auto record = store.blob(key);
    digest = key.digest();
    response = resolver::StoredResponse::decode(entry.response.metadata);
    if (key.kind == cache::BlobKey::Kind::kNone) {
      state = "none";
    } else if (!record) {
      state = "gone";
      length = response && response->length_bytes != cache::kUnknownLength ? response->length_bytes : 0;
    } else {
      state = record->state == BlobState::kPartial ? "partial" : "whole";
      length = record->length_bytes;
      stored = record->stored_bytes;
      asked = int64_t{60} * record->recency;
    }
  }

  std::string readable_state() const {
    if (state != "partial") return state;
    if (length == 0 || length == cache::kUnknownLength) return "partial";
    return std::to_string(
               static_cast<int>(100.0 * static_cast<double>(stored) / static_cast<double>(length))) +
           "%";
  }
};

Json json_of(const cache::Name& name, const Row& row) {
  return {{"space", name.space},
          {"name", name.text},
          {"state", row.state},
          {"length", row.length == cache::kUnknownLength ? Json() : Json(row.length)},
          {"stored", row.stored},
          {"status", row.response ? Json(row.response->status) : Json()},
          {"fetched", row.response ? Json(row.response->response_time) : Json()},
          {"asked", row.asked ? Json(*row.asked) : Json()},
          {"digest", row.digest ? Json(row.digest->str()) : Json()}};
}

std::string long_form(const Row& row, std::time_t now) {
  const std::string length = row.length == cache::kUnknownLength ? "?" : readable_size(row.length);
  const std::string age = row.response ? readable_span(now - row.response->response_time) : "-";
  char text[160];
  std::snprintf(text, sizeof(text), "%10s  %-7s %8s  %-17s %-12s  ", length.c_str(),
                row.readable_state().c_str(), age.c_str(),
                row.asked ? readable_time(*row.asked).substr(0, 16).c_str() : "-",
                row.digest ? row.digest->hex().substr(0, 12).c_str() : "-");
  return text;
}

}  // namespace

int list_names(const CacheArguments& arguments, Store store) {
  const std::time_t now = std::time(nullptr);
  const std::string space = !arguments.operands.empty() ? arguments.operands[0] : "";
  const std::string prefix = arguments.operands.size() > 1 ? arguments.operands[1] : "";
  const uint64_t damaged = store->names(space, prefix, [&](const cache::Inspection::StoredEntry& entry) {
    if (arguments.json) {
      print_json(json_of(entry.name, Row(*store, entry)));
    } else {
      if (arguments.long_form) std::cout << long_form(Row(*store, entry), now);
      std::cout << printable(entry.name.space) << " " << printable(entry.name.text) << "\n";
    }
    return static_cast<bool>(std::cout);
  });
  if (damaged == 0) return kGood;
  warn(std::to_string(damaged) + " damaged records were passed over");
  return kFindings;
}

}  // namespace entrepot::commands
