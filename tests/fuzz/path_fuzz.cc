// The path of a request: two modules decode and resolve it, proxy/serve/request_path.cc for locations, files
// and names, proxy/config/routing.cc for what goes upstream. Did they differ, the cache would keep one thing
// under the name of another.
//
// Input: a line with a location's path, a line with a request's target.
#include "proxy/config/routing.h"
#include "proxy/serve/request_path.h"
#include "tests/fuzz/fuzz.h"

namespace entrepot::fuzz {
namespace {

using config::Location;

std::string escaped(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '/') {
      out.push_back(c);
    } else {
      out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return out;
}

void check_normal(std::string_view path) {
  require(path.starts_with('/'), "a normal path begins with a slash");
  require(!has_control(path) && path.find('\\') == path.npos,
          "a normal path has no control character and no backslash");
  require(!climbs(path), "a normal path has no ..");
  require(path.find("//") == path.npos && path.find("/./") == path.npos && !path.ends_with("/."),
          "a normal path has no empty segment and no .");
  const std::string written = escaped(path);  // what is read points into it
  const auto again = serve::parse_request_path(written);
  require(again && again->path() == path, "a normal path stays what it is");
}

// Nothing that an upstream may do with a path, once or twice, leads out of it.
void check_upstream(std::string_view target, std::string_view within, std::string_view args) {
  const auto read = serve::parse_request_path(target);
  require(read.has_value(), "what goes upstream is a target that can be read");
  require(read->path() == within, "the upstream reads the path that the cache has named");
  require(read->args == args, "the query goes on as it came");
}

void check_location(const Location& location, const serve::RequestPath& path, std::string_view target) {
  const std::string within = config::path_within(location, path.path());
  check_upstream(config::repository_target(location, target), within, path.args);

  config::ProxyPass pass;
  pass.uri = "/base/";
  const std::string tail(path.path().substr(location.path.size()));
  if (tail.starts_with('/')) return;  // "/base//x": the conf's doing
  check_upstream(config::upstream_path(location, pass, target), "/base/" + tail, path.args);
  require(config::behind_base(pass, within) == "/base" + within, "a base is joined by one slash");
}

}  // namespace
}  // namespace entrepot::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace entrepot;
  using namespace entrepot::fuzz;
  std::string_view rest = text_of(data, size);
  const std::string place(take_line(rest));
  const auto path = serve::parse_request_path(rest);
  if (!path) return 0;
  check_normal(path->path());
  for (const std::string& prefix : {std::string("/"), place}) {
    if (!prefix.starts_with('/') || has_control(prefix)) continue;
    for (const auto match : {config::Location::Match::kPrefix, config::Location::Match::kExact}) {
      config::Server server;
      server.locations.emplace_back();
      server.locations[0].match = match;
      server.locations[0].path = prefix;
      if (const auto* location = server.find_location(path->path())) check_location(*location, *path, rest);
    }
  }
  return 0;
}
