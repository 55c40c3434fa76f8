// Templates: strings of the conf with variables ("$scheme://$host$request_uri"), compiled once.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::config {

// Supplies the values while a Template is expanded. serve/ implements it over a Stream.
class VariableSource {
 public:
  virtual ~VariableSource() = default;
  // Appends the value of variable `id` to `out`. `argument` is the rest of a family's name: "x_foo" of
  // $http_x_foo, "a" of $arg_a, lower case. An absent value appends nothing and answers false.
  virtual bool append(uint16_t id, std::string_view argument, std::string& out) const = 0;
};

enum Variable : uint16_t {
  kVarScheme,
  kVarHost,
  kVarHttpHost /* $http_host through the family */,
  kVarRequestUri,
  kVarUri,
  kVarArgs,
  kVarIsArgs,
  kVarQueryString,
  kVarRequestMethod,
  kVarServerProtocol,
  kVarRequest,
  kVarRemoteAddr,
  kVarRemoteUser,
  kVarServerName,
  kVarServerPort,
  kVarServerAddr,
  kVarProxyHost,
  kVarProxyPort,
  kVarProxyAddXForwardedFor,
  kVarStatus,
  kVarBodyBytesSent,
  kVarBytesSent,
  kVarRequestTime,
  kVarRequestLength,
  kVarTimeLocal,
  kVarTimeIso8601,
  kVarMsec,
  kVarUpstreamAddr,
  kVarUpstreamStatus,
  kVarUpstreamCacheStatus,
  kVarUpstreamResponseTime,
  kVarHttps,
  kVarSslProtocol,
  kVarSslCipher,
  kVarHostname,
  kVarPid,
  kVarConnection,
  kVarSliceRange,
  kVarEntrepotVersion,
  kVarRequestFilename,
  kVarDocumentRoot,
  kVarRealipRemoteAddr,
  kVarProxyProtocolAddr,
  kVarProxyProtocolPort,
  kVarRequestId,
  kVarTraceId,
  kVarConnectionRequests,
  kVarContentLength,
  kVarContentType,
  kVarSslServerName,
  kVarForwardedElement,
  kVarHttpField /* $http_* */,
  kVarArg /* $arg_* */,
  kVarSentHttpField /* $sent_http_* */,
  kVarUpstreamHttpField /* $upstream_http_* */,
  kVarCookie /* $cookie_* */,
  kVarCapture /* $1, and what a group of an expression is named */,
};

class Template {
 public:
  Template() = default;
  // Empty, with the message in `error`, for a name that is not known (`unknown "foo" variable`), a `$`
  // without a name or a `${` without end. `groups`: names that expressions of the conf give to their groups.
  static std::optional<Template> compile(std::string_view text, std::string& error,
                                         const std::set<std::string>& groups = {});
  static Template literal(std::string text);
  // Puts `other` after what is here.
  void append(Template other);
  bool empty() const noexcept { return pieces_.empty(); }
  bool is_literal() const noexcept;
  bool uses(Variable variable) const noexcept;
  const std::string& source() const noexcept { return source_; }
  void expand(const VariableSource& variables, std::string& out) const;

 private:
  struct Piece {
    bool is_variable;
    uint16_t id;
    std::string text;  // literal, or a family's argument
  };
  std::vector<Piece> pieces_;
  std::string source_;
};

}  // namespace entrepot::config
