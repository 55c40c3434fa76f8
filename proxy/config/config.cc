// Reading a conf from its files to a Config, what is printed of an error, and what a conf needs of the
// machine.
#include "proxy/config/config.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "proxy/config/draft.h"
#include "proxy/config/pattern.h"

namespace entrepot::config {

namespace {

constexpr std::string_view kCombined =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" "
    "\"$http_user_agent\"";

std::shared_ptr<const LogFormat> combined_format() {
  auto format = std::make_shared<LogFormat>();
  std::string unused;
  format->name = "combined";
  format->format = *Template::compile(kCombined, unused);
  return format;
}

// The names of groups are variables everywhere, also in front of the expression. What is no expression is
// refused where it is read.
void find_groups(const std::vector<Directive>& tree, std::set<std::string>& out) {
  for (const Directive& directive : tree) {
    const std::string& name = directive.name.text;
    if (name == "location" || name == "server_name" || name == "proxy_redirect") {
      for (const Word& word : directive.arguments) {
        std::string unused;
        const auto pattern = word.text.find("(?") == std::string::npos
                                 ? nullptr
                                 : Pattern::compile(word.text.substr(word.text.find_first_not_of("~*")), false, unused);
        if (pattern) out.insert(pattern->names().begin(), pattern->names().end());
      }
    }
    find_groups(directive.block, out);
  }
}

Failure read_all(const ParseOptions& options, Draft& draft) {
  std::vector<Directive> tree;
  const std::string folder = std::filesystem::path(options.file).parent_path();
  if (!options.globals.empty()) {
    if (auto failed = parse_text(kCommandLine, options.globals, folder, draft.sources, tree)) return failed;
  }
  if (auto failed = parse_file(options.file, folder, draft.sources, tree)) return failed;
  find_groups(tree, draft.groups);
  Scope scope{draft};
  return read_block(scope, tree);
}

std::string dump_of(const Sources& sources) {
  std::string out;
  for (const auto& [file, text] : sources.files) {
    if (file != kCommandLine) out += fmt::format("# configuration file {}:\n{}\n", file, text);
  }
  return out;
}

ConfigError error_of(const Place& place, std::string message) {
  return {place.file, place.line, place.column, std::move(message), place.source_line, ""};
}

// errno of a file that cannot be read; 0: it can.
int reading_failure(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  return ::access(path.c_str(), R_OK) == 0 ? 0 : errno;
}

// errno of a directory that cannot be used and, where it is absent, cannot be made; 0: it can.
int cache_directory_failure(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) {
    if (!S_ISDIR(status.st_mode)) return ENOTDIR;
    return ::access(path.c_str(), R_OK | W_OK | X_OK) == 0 ? 0 : errno;
  }
  if (errno != ENOENT) return errno;
  std::string parent = std::filesystem::path(path).parent_path();
  if (parent.empty()) parent = ".";
  if (::stat(parent.c_str(), &status) != 0) return errno;
  if (!S_ISDIR(status.st_mode)) return ENOTDIR;
  return ::access(parent.c_str(), W_OK | X_OK) == 0 ? 0 : errno;
}

Failure check_file(std::string_view what, const std::string& path, const Place& place) {
  const int error = path.empty() ? 0 : reading_failure(path);
  if (error == 0) return std::nullopt;
  return error_of(place,
                  fmt::format("cannot load {} \"{}\" ({}: {})", what, path, error, std::strerror(error)));
}

std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return reason ? reason : "unknown error";
}

// Nobody is there who could type it.
int no_passphrase(char*, int, int, void*) { return -1; }

// A certificate that upstreams are shown, and its key: tried as they will be used.
Failure check_client_certificate(const Shared& shared) {
  const std::string& path = shared.proxy_ssl_certificate;
  const std::string& key = shared.proxy_ssl_certificate_key;
  if (path.empty()) return std::nullopt;
  if (key.empty()) {
    return error_of(shared.proxy_ssl_certificate_place,
                    fmt::format("no \"proxy_ssl_certificate_key\" is defined for certificate \"{}\"", path));
  }
  if (auto failed = check_file("certificate", path, shared.proxy_ssl_certificate_place)) return failed;
  if (auto failed = check_file("certificate key", key, shared.proxy_ssl_certificate_key_place)) return failed;
  ERR_clear_error();
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
  if (SSL_CTX_use_certificate_chain_file(context.get(), path.c_str()) != 1) {
    return error_of(shared.proxy_ssl_certificate_place,
                    fmt::format("cannot load certificate \"{}\": {}", path, openssl_reason()));
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) == 1) return std::nullopt;
  return error_of(shared.proxy_ssl_certificate_key_place,
                  fmt::format("cannot load certificate key \"{}\": {}", key, openssl_reason()));
}

Failure check_trusted(const Shared& shared) {
  return check_file("trusted certificate", shared.proxy_ssl_trusted_certificate,
                    shared.proxy_ssl_trusted_certificate_place);
}

// Of a level from which upstreams are asked.
Failure check_upstream_tls(const Shared& shared) {
  if (auto failed = check_client_certificate(shared)) return failed;
  return check_trusted(shared);
}

Failure check_server(const Server& server) {
  for (const Certificate& certificate : server.certificates) {
    if (auto failed = check_file("certificate", certificate.path, certificate.place)) return failed;
    if (auto failed = check_file("certificate key", certificate.key, certificate.key_place)) return failed;
  }
  if (auto failed = check_trusted(server.shared)) return failed;
  for (const Location& location : server.locations) {
    if (auto failed = check_upstream_tls(location.shared)) return failed;
  }
  return std::nullopt;
}

}  // namespace

ParseResult parse(const ParseOptions& options) {
  ParseResult result;
  Draft draft;
  draft.config.file = options.file;
  draft.config.prefix = options.prefix;
  draft.log_formats.emplace("combined", combined_format());
  result.error = read_all(options, draft);
  if (!result.error) result.error = finish(draft, result.config);
  result.warnings = std::move(draft.warnings);
  result.dump = dump_of(draft.sources);
  return result;
}

std::string ConfigError::str() const {
  std::string out = "entrepot: [emerg] " + message;
  if (file == kCommandLine) {
    out += fmt::format(" in {}\n", file);
  } else {
    out += line == 0 ? "\n" : fmt::format(" in {}:{}\n", file, line);
  }
  if (line > 0) {
    std::string indent;
    for (uint32_t i = 1; i < column; ++i)
      indent += i <= source_line.size() && source_line[i - 1] == '\t' ? '\t' : ' ';
    out += fmt::format("    {}\n    {}^\n", source_line, indent);
  }
  if (!expected.empty()) out += fmt::format("    expected: {}\n", expected);
  return out;
}

std::optional<ConfigError> check_environment(const Config& config) {
  for (const auto& server : config.servers) {
    if (auto failed = check_server(*server)) return failed;
  }
  for (const auto& repository : config.repositories) {
    if (auto failed = check_upstream_tls(repository->shared)) return failed;
  }
  for (const auto& zone : config.caches) {
    const int error = cache_directory_failure(zone->path);
    if (error == 0) continue;
    auto message =
        fmt::format("cannot use cache directory \"{}\" ({}: {})", zone->path, error, std::strerror(error));
    return error_of(zone->place, std::move(message));
  }
  return std::nullopt;
}

}  // namespace entrepot::config
