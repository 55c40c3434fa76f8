// The union of several packuments, put together from their own bytes.
#include <set>

#include "resolver/formats/json_reader.h"
#include "resolver/formats/npm_packument.h"
#include "resolver/formats/npm_path.h"

namespace entrepot::resolver {

namespace {

struct Member {
  std::string key;
  std::string_view raw;
};
using Members = std::vector<Member>;

// Tables of which the union is made; the first member's other members follow them in `others`.
struct Tables {
  std::string_view text;
  std::string name;
  Members versions, tags, times, others;
};

// Keeps the value's bytes as they lie in the member's own text, not in the reader's copy.
bool keep(const JsonReader& reader, std::string_view text, std::string_view key, json::value& value,
          Members& into) {
  const auto raw = raw_of(value);
  if (raw) into.push_back({std::string(key), text.substr(reader.offset_of(*raw), raw->size())});
  return raw.has_value();
}

bool read_table(const JsonReader& reader, std::string_view text, json::value& value, Members& into) {
  return is_object(value) && each_member(value, [&](std::string_view key, json::value& member) {
           return keep(reader, text, key, member, into);
         });
}

bool read_member(const JsonReader& reader, std::string_view key, json::value& value, Tables& tables) {
  if (key == "versions") return read_table(reader, tables.text, value, tables.versions);
  if (key == "dist-tags") return read_table(reader, tables.text, value, tables.tags);
  if (key == "time") return read_table(reader, tables.text, value, tables.times);
  const bool is_name = key == "name" && is_string(value);
  if (!keep(reader, tables.text, key, value, tables.others)) return false;
  if (is_name) {
    const auto name = text_of(value);
    if (!name) return false;
    tables.name = *name;
  }
  return true;
}

std::optional<Tables> read_tables(std::string_view text) {
  if (!is_json(text)) return std::nullopt;
  JsonReader reader(text);
  Tables tables;
  tables.text = text;
  const bool good = reader.read(
      [&](std::string_view key, json::value& value) { return read_member(reader, key, value, tables); });
  if (!good || !is_npm_name(tables.name)) return std::nullopt;
  return tables;
}

class Union {
 public:
  // REQUIRES: the text of `tables` lives until str() is done.
  void add(Tables tables) {
    if (name_.empty()) {
      name_ = tables.name;
      others_ = std::move(tables.others);
    }
    for (Member& time : tables.times) {
      if (!has_version_.contains(time.key)) take(time, has_time_, times_);
    }
    for (Member& version : tables.versions) take(version, has_version_, versions_);
    for (Member& tag : tables.tags) take(tag, has_tag_, tags_);
  }
  const std::string& name() const noexcept { return name_; }

  std::string str() const {
    std::string out = "{";
    for (const Member& other : others_) append(out, other.key, other.raw);
    append_table(out, "dist-tags", tags_);
    append_table(out, "versions", versions_);
    if (!times_.empty()) append_table(out, "time", times_);
    out += "}";
    return out;
  }

 private:
  using Keys = std::set<std::string, std::less<>>;

  static void take(Member& member, Keys& known, Members& into) {
    if (known.insert(member.key).second) into.push_back(std::move(member));
  }
  static void append(std::string& out, std::string_view key, std::string_view raw) {
    if (out.back() != '{') out.push_back(',');
    out += json_quoted(key);
    out.push_back(':');
    out += raw;
  }
  static void append_table(std::string& out, std::string_view key, const Members& members) {
    append(out, key, "{");
    for (const Member& member : members) append(out, member.key, member.raw);
    out.push_back('}');
  }

  std::string name_;
  Members versions_, tags_, times_, others_;
  Keys has_version_, has_tag_, has_time_;
};

}  // namespace

std::optional<std::string> merge_npm_packuments(std::span<const std::string_view> in_order) {
  if (in_order.empty()) return std::nullopt;
  Union merged;
  for (const std::string_view text : in_order) {
    auto tables = read_tables(text);
    if (!tables) return std::nullopt;
    if (!merged.name().empty() && tables->name != merged.name()) return std::nullopt;
    merged.add(std::move(*tables));
  }
  return merged.str();
}

}  // namespace entrepot::resolver
