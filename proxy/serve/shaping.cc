// What the conf makes of an upstream's fields on their way to the client: proxy_hide_header, proxy_redirect.
#include <algorithm>

#include "proxy/config/pattern.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/request_variables.h"
#include "resolver/text.h"

namespace entrepot::serve {

namespace {

// The variables of a request, but that $1 and named groups are of `text`, as `pattern` matched it.
class MatchVariables final : public config::VariableSource {
 public:
  MatchVariables(const config::VariableSource& others, const config::Pattern& pattern, std::string_view text)
      : others_(others), pattern_(pattern), text_(text) {}
  bool append(uint16_t id, std::string_view argument, std::string& out) const override {
    if (id == config::kVarCapture && pattern_.append_group(text_, argument, out)) return true;
    return others_.append(id, argument, out);
  }

 private:
  const config::VariableSource& others_;
  const config::Pattern& pattern_;
  const std::string_view text_;
};

// Where the first that speaks of `url` has it lead; empty: none does.
std::string redirected(const std::vector<config::ProxyRedirect>& redirects, const config::VariableSource& variables,
                       std::string_view url) {
  std::string out;
  for (const config::ProxyRedirect& redirect : redirects) {
    if (redirect.pattern) {
      if (!redirect.pattern->matches(url)) continue;
      redirect.to.expand(MatchVariables(variables, *redirect.pattern, url), out);
      return out;
    }
    std::string from;
    redirect.from.expand(variables, from);
    if (!url.starts_with(from)) continue;
    redirect.to.expand(variables, out);
    return out.append(url.substr(from.size()));
  }
  return out;
}

// Where the URL of a Refresh begins: "5; url=...". npos: there is none.
size_t url_of_refresh(std::string_view value) {
  const std::string_view kUrl = "url=";
  const auto found = std::search(value.begin(), value.end(), kUrl.begin(), kUrl.end(),
                                 [](char a, char b) { return resolver::lower(a) == b; });
  return found == value.end() ? std::string_view::npos : static_cast<size_t>(found - value.begin()) + kUrl.size();
}

}  // namespace

// fields_ are what the upstream sent. `may_redirect` false: neither Location nor Refresh is among them.
void Handler::shape_fields(http::Stream& stream, const Place& place, bool may_redirect) {
  const auto& hidden = place.conf->proxy_hide_headers;
  if (!hidden.empty()) {
    std::erase_if(fields_, [&hidden](const http::Field& field) {
      return std::find(hidden.begin(), hidden.end(), field.name) != hidden.end();
    });
  }
  const auto& redirects = place.conf->proxy_redirects;
  if (!may_redirect || redirects.empty()) return;
  const auto path = parse_request_path(stream.request().target).value_or(RequestPath{});
  const RequestVariables variables(stream, place, path);
  for (http::Field& field : fields_) {
    if (field.name != "location" && field.name != "refresh") continue;
    const size_t begin = field.name == "refresh" ? url_of_refresh(field.value) : 0;
    if (begin == std::string_view::npos) continue;
    const std::string url = redirected(redirects, variables, field.value.substr(begin));
    if (!url.empty()) field.value = stream.keep(std::string(field.value.substr(0, begin)) + url);
  }
}

}  // namespace entrepot::serve
