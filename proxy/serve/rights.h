// Rights: what upstreams have said of credentials: may they have this part of this repository? Remembered
// briefly, by digest: the credentials themselves are not kept. Loop thread only.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <unordered_map>

namespace entrepot::serve {

class Rights {
 public:
  static constexpr std::time_t kRememberedSeconds = 60;

  // A key that tells neither the credentials nor another key's.
  static std::string key(std::string_view repository, std::string_view scope, std::string_view credentials);
  bool has(const std::string& key, std::time_t now) const;
  void grant(const std::string& key, std::time_t now);

 private:
  static constexpr size_t kMaxRights = 100'000;
  std::unordered_map<std::string, std::time_t> until_;
};

}  // namespace entrepot::serve
