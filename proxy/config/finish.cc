// From the Draft to the Config: each level inherits what it did not set, names become what they stand for,
// and what cannot be is refused.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "proxy/config/draft.h"
#include "resolver/members.h"

namespace entrepot::config {

namespace {

void inherit(TlsDraft& own, const TlsDraft& from) {
  const auto take = [](auto& mine, const auto& above) {
    if (!mine) mine = above;
  };
  take(own.certificates, from.certificates);
  take(own.certificate_keys, from.certificate_keys);
  take(own.protocols, from.protocols);
  take(own.ciphers, from.ciphers);
  take(own.session_timeout, from.session_timeout);
  take(own.session_tickets, from.session_tickets);
  take(own.http2, from.http2);
}

std::shared_ptr<const std::map<std::string, std::string>> default_types() {
  return std::make_shared<const std::map<std::string, std::string>>(
      std::map<std::string, std::string>{{"html", "text/html"}, {"gif", "image/gif"}, {"jpg", "image/jpeg"}});
}

class Finisher {
 public:
  explicit Finisher(Draft& draft) : draft_(draft) {
    std::string unused;
    default_key_ = *Template::compile("$scheme$proxy_host$request_uri", unused);
  }

  Failure run(std::shared_ptr<const Config>& out) {
    auto config = std::make_shared<Config>(std::move(draft_.config));
    config->caches.assign(draft_.caches.begin(), draft_.caches.end());
    if (config->pid.empty()) config->pid = under_prefix(config->prefix, "run/entrepot.pid");
    if (config->error_log.empty()) config->error_log = "stderr";
    for (RepositoryDraft& repository : draft_.repositories) {
      if (auto failed = add_repository(repository, *config)) return failed;
    }
    for (const RepositoryDraft& repository : draft_.repositories) {
      if (auto failed = add_members(repository)) return failed;
    }
    for (ServerDraft& server : draft_.servers) {
      if (auto failed = add_server(server, *config)) return failed;
    }
    if (auto failed = check_listens()) return failed;
    warn_of_conflicting_names();
    out = std::move(config);
    return std::nullopt;
  }

 private:
  Failure make_shared_part(const SharedDraft& draft, Shared& out) {
    out.proxy_cache_key = default_key_;
    settle(draft, out);
    std::erase_if(out.proxy_hide_headers, [&out](const std::string& name) {  // nginx: passing has the last word
      return std::find(out.proxy_pass_headers.begin(), out.proxy_pass_headers.end(), name) !=
             out.proxy_pass_headers.end();
    });
    out.types = draft.types ? draft.types : default_types_;
    if (auto failed = find_cache(draft, out)) return failed;
    return find_log_formats(draft, out);
  }

  Failure find_cache(const SharedDraft& draft, Shared& out) {
    if (!draft.proxy_cache || draft.proxy_cache->word.text == "off") return std::nullopt;
    const std::string& name = draft.proxy_cache->word.text;
    for (const auto& zone : draft_.caches) {
      if (zone->name == name) out.proxy_cache = zone;
    }
    if (out.proxy_cache) return std::nullopt;
    return draft_.error(*draft.proxy_cache, fmt::format("\"proxy_cache\" zone \"{}\" is unknown", name),
                        fmt::format("a proxy_cache_path with keys_zone={}:SIZE", name));
  }

  Failure find_log_formats(const SharedDraft& draft, Shared& out) {
    for (const LogDraft& log : draft.access_logs) {
      const auto format = draft_.log_formats.find(log.format);
      if (format == draft_.log_formats.end()) {
        return draft_.error(log.where, fmt::format("unknown log format \"{}\"", log.format));
      }
      if (!draft.access_log_off) out.access_logs.push_back({log.path, format->second});
    }
    return std::nullopt;
  }

  Failure find_upstream(const std::optional<PassDraft>& draft, std::optional<ProxyPass>& out) {
    if (!draft) return std::nullopt;
    out = draft->pass;
    if (out->upstream && out->upstream->servers.front().address.starts_with("unix:")) return std::nullopt;
    const std::string host =
        set::lower(out->host.substr(0, draft->names_port ? out->host.rfind(':') : std::string::npos));
    const auto found = draft_.upstreams.find(host);
    if (found == draft_.upstreams.end()) return std::nullopt;
    if (draft->names_port) {
      const std::string port = out->host.substr(out->host.rfind(':') + 1);
      return draft_.error(draft->where, fmt::format("upstream \"{}\" may not have port {}", host, port));
    }
    out->upstream = found->second;
    return std::nullopt;
  }

  Failure add_repository(RepositoryDraft& draft, Config& config) {
    auto repository = std::make_shared<Repository>();
    repository->name = draft.name;
    repository->format = *draft.format;
    repository->file_hosts = draft.file_hosts;
    repository->immutable = draft.immutable;
    repository->authorize = draft.authorize;
    repository->credentials = draft.credentials;
    repository->cdn_redirect = draft.cdn_redirect;
    repository->prefetch = draft.prefetch.value_or(false);
    repository->root = draft.shared.root.value_or(FilePath{}).folder;  // before it could inherit one
    if (auto failed = find_upstream(draft.pass, repository->proxy_pass)) return failed;
    inherit(draft.shared, draft_.http);
    if (auto failed = make_shared_part(draft.shared, repository->shared)) return failed;
    repositories_[draft.name] = repository;
    config.repositories.push_back(std::move(repository));
    return std::nullopt;
  }

  Failure add_members(const RepositoryDraft& draft) {
    if (draft.members.empty()) return std::nullopt;
    Repository& repository = *repositories_.at(draft.name);
    for (const Reference& reference : draft.members) {
      const auto found = repositories_.find(reference.word.text);
      if (found == repositories_.end())
        return draft_.error(reference, fmt::format("unknown repository \"{}\"", reference.word.text));
      const Repository& member = *found->second;
      if (auto failed = check_member(repository, member, reference)) return failed;
      repository.members.push_back(found->second);
    }
    for (const RouteDraft& route : draft.routes) {
      Route& made = repository.routes.emplace_back(
          Route{resolver::route_pattern(repository.format, route.pattern), {}});
      for (const Reference& reference : route.members) {
        const auto is_named = [&](const auto& member) { return member->name == reference.word.text; };
        const auto found = std::find_if(repository.members.begin(), repository.members.end(), is_named);
        if (found == repository.members.end()) {
          return draft_.error(reference, fmt::format("\"{}\" is no member of repository \"{}\"",
                                                     reference.word.text, repository.name));
        }
        made.members.push_back(found->get());
      }
    }
    return std::nullopt;
  }

  Failure check_member(const Repository& repository, const Repository& member, const Reference& at) {
    const auto refuse = [&](std::string_view what, const char* expected) {
      return draft_.error(at, fmt::format("member \"{}\" of repository \"{}\" {}", member.name, repository.name, what),
                          expected);
    };
    for (const auto& other : repository.members) {
      if (other.get() == &member) return refuse("stands there twice", "");
    }
    const bool is_virtual = std::any_of(draft_.repositories.begin(), draft_.repositories.end(), [&](const auto& it) {
      return it.name == member.name && !it.members.empty();
    });
    if (is_virtual) return refuse("is virtual itself", "its members, in their order");
    if (member.format != repository.format) {
      return refuse(fmt::format("is of format {}", resolver::to_string(member.format)),
                    "members of the same format");
    }
    if (member.authorize == Authorize::kUpstream)
      return refuse("has \"authorize upstream\"", "a location of its own for what the upstream decides about");
    if (member.authorize == Authorize::kEdge && repository.authorize != Authorize::kEdge)
      return refuse("has \"authorize edge\", and the repository has not",
                    "authorize edge; what the member's credentials open is open to the clients of both");
    return std::nullopt;
  }

  Failure add_server(ServerDraft& draft, Config& config) {
    inherit(draft.shared, draft_.http);
    inherit(draft.tls, draft_.http_tls);
    if (draft.listens.empty()) {
      draft.listens.push_back({});
      draft.listens.back().address = ::geteuid() == 0 ? "0.0.0.0:80" : "0.0.0.0:8000";
      draft.listen_places.push_back(draft.where);
    }
    if (auto failed = check_certificates(draft)) return failed;
    auto server = std::make_unique<Server>();
    server->listens = draft.listens;
    server->names = draft.names;
    server->name_patterns = draft.name_patterns;
    server->certificates = certificates_of(draft.tls);
    server->ssl_protocols = draft.tls.protocols.value_or(server->ssl_protocols);
    server->ssl_ciphers = draft.tls.ciphers.value_or(server->ssl_ciphers);
    server->ssl_session_timeout = std::chrono::duration_cast<std::chrono::seconds>(
        draft.tls.session_timeout.value_or(server->ssl_session_timeout));
    server->ssl_session_tickets = draft.tls.session_tickets.value_or(true);
    server->http2 = draft.tls.http2.value_or(false);
    server->return_ = draft.return_;
    if (auto failed = make_shared_part(draft.shared, server->shared)) return failed;
    for (LocationDraft& location : draft.locations) {
      const auto& parent = location.location.parent;
      const SharedDraft& above = parent ? draft.locations[*parent].shared : draft.shared;
      if (auto failed = add_location(location, above, *server)) return failed;
    }
    config.servers.push_back(std::move(server));
    return std::nullopt;
  }

  // Each certificate with the key that stands at the same place among the keys.
  static std::vector<Certificate> certificates_of(const TlsDraft& tls) {
    std::vector<Certificate> out;
    for (const FileDraft& certificate : tls.certificates.value_or(std::vector<FileDraft>{}))
      out.push_back({certificate.path, "", certificate.place, {}});
    if (!tls.certificate_keys) return out;
    for (size_t i = 0; i < std::min(out.size(), tls.certificate_keys->size()); ++i) {
      out[i].key = (*tls.certificate_keys)[i].path;
      out[i].key_place = (*tls.certificate_keys)[i].place;
    }
    return out;
  }

  Failure check_certificates(const ServerDraft& draft) {
    const size_t certificates = draft.tls.certificates ? draft.tls.certificates->size() : 0;
    const size_t keys = draft.tls.certificate_keys ? draft.tls.certificate_keys->size() : 0;
    for (size_t i = 0; i < draft.listens.size(); ++i) {
      if (!draft.listens[i].ssl) continue;
      const Reference& where = draft.listen_places[i];
      if (certificates == 0) {
        return draft_.error(where, "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive",
                            "ssl_certificate FILE; and ssl_certificate_key FILE;");
      }
      if (keys < certificates) {
        auto message = fmt::format("no \"ssl_certificate_key\" is defined for certificate \"{}\"",
                                   (*draft.tls.certificates)[keys].path);
        return draft_.error(where, std::move(message), "ssl_certificate_key FILE;");
      }
    }
    return std::nullopt;
  }

  Failure add_location(LocationDraft& draft, const SharedDraft& from, Server& server) {
    const bool own_redirects = draft.shared.proxy_redirects.has_value();
    inherit(draft.shared, from);
    Location location = draft.location;
    location.internal = location.internal || (location.parent && server.locations[*location.parent].internal);
    if (draft.pass && draft.repository) {
      auto message = fmt::format("both \"proxy_pass\" and \"repository\" in location \"{}\"", location.path);
      return draft_.error(draft.where, std::move(message));
    }
    if (auto failed = find_upstream(draft.pass, location.proxy_pass)) return failed;
    if (draft.repository) {
      const std::string& name = draft.repository->word.text;
      const auto found = repositories_.find(name);
      if (found == repositories_.end()) {
        return draft_.error(*draft.repository, fmt::format("unknown repository \"{}\"", name));
      }
      location.repository = found->second;
    }
    if (auto failed = make_shared_part(draft.shared, location.shared)) return failed;
    if (auto failed = find_redirects(draft, own_redirects, location)) return failed;
    if (auto failed = check_resolvable(draft, location)) return failed;
    if (auto failed = check_public_url(draft, location, server)) return failed;
    server.locations.push_back(std::move(location));
    return std::nullopt;
  }

  // What proxy_redirect says, `default` spelt out: it is what nothing is said means, too.
  Failure find_redirects(const LocationDraft& draft, bool own, Location& location) {
    if (!draft.pass) return std::nullopt;
    const std::vector<RedirectDraft> usual{{{}, true, {}}};
    for (const RedirectDraft& redirect : draft.shared.proxy_redirects.value_or(usual)) {
      if (!redirect.is_default) {
        location.shared.proxy_redirects.push_back(redirect.redirect);
      } else if (!draft.pass->url.empty()) {
        const bool has_uri = location.proxy_pass->uri.has_value();
        location.shared.proxy_redirects.push_back(
            {Template::literal(draft.pass->url + (has_uri ? "" : "/")),
             Template::literal(has_uri ? location.path : "/"), nullptr});
      } else if (own) {
        return draft_.error(redirect.where,
                            "\"proxy_redirect default\" cannot be used with \"proxy_pass\" directive with variables");
      }
    }
    return std::nullopt;
  }

  // What a format needs to know it finds in documents, and these are had through a cache.
  Failure check_resolvable(const LocationDraft& draft, const Location& location) {
    const Repository* repository = location.repository.get();
    if (!repository || repository->shared.proxy_cache || location.shared.proxy_cache) return std::nullopt;
    const bool resolves = repository->proxy_pass && repository->format != Format::kGeneric;
    if (!resolves && repository->members.empty()) return std::nullopt;
    return draft_.error(*draft.repository,
                        fmt::format("repository \"{}\" of format {} has no \"proxy_cache\"", repository->name,
                                    resolver::to_string(repository->format)),
                        "proxy_cache ZONE; in the repository, or above it");
  }

  // Documents that are rewritten tell clients where to go on.
  Failure check_public_url(const LocationDraft& draft, const Location& location, const Server& server) {
    const Repository* repository = location.repository.get();
    const bool rewrites =
        repository && (repository->format == Format::kNpm || repository->format == Format::kPypi);
    if (!rewrites || !location.public_url.empty()) return std::nullopt;
    const std::string address = server.listens.front().address;
    const std::string name = server.names.empty() ? "" : server.names.front();
    const bool by_name = name.find('.') != 0 && name.find_first_of("*_~") == std::string::npos && !name.empty();
    const bool by_address = name.empty() && !address.starts_with("0.0.0.0:") && !address.starts_with("[::]:") &&
                            !address.starts_with("unix:");
    if (by_name || by_address) return std::nullopt;
    return draft_.error(*draft.repository,
                        fmt::format("where clients find repository \"{}\" is not known", repository->name),
                        "public_url https://HOST[:PORT]/PATH; in the location, or a server_name");
  }

  // What is said of one address in several servers must agree: it is one socket.
  Failure check_listens() {
    std::map<std::string, Listen> first;
    for (const ServerDraft& server : draft_.servers) {
      for (size_t i = 0; i < server.listens.size(); ++i) {
        const Listen& listen = server.listens[i];
        const auto [known, is_first] = first.emplace(listen.address, listen);
        if (is_first) continue;
        if (auto failed = merge_listen(known->second, listen, server.listen_places[i])) return failed;
      }
    }
    return std::nullopt;
  }

  Failure merge_listen(Listen& known, const Listen& listen, const Reference& where) {
    if (known.ssl != listen.ssl) {
      return draft_.error(
          where,
          fmt::format("\"listen {}\" is with \"ssl\" in one server and without in another", listen.address));
    }
    if (known.default_server && listen.default_server) {
      return draft_.error(where, fmt::format("a duplicate default server for {}", listen.address));
    }
    const int usual = Listen{}.backlog;
    if (known.backlog != usual && listen.backlog != usual) {
      return draft_.error(where, fmt::format("duplicate listen options for {}", listen.address));
    }
    known.default_server = known.default_server || listen.default_server;
    if (listen.backlog != usual) known.backlog = listen.backlog;
    return std::nullopt;
  }

  void warn_of_conflicting_names() {
    std::set<std::pair<std::string, std::string>> known;  // (address, name)
    const std::vector<std::string> nameless{""};
    for (const ServerDraft& server : draft_.servers) {
      const auto& names = server.names.empty() ? nameless : server.names;
      for (const Listen& listen : server.listens) {
        for (size_t i = 0; i < names.size(); ++i) {
          if (known.emplace(listen.address, names[i]).second) continue;
          const Reference& where = server.names.empty() ? server.where : server.name_places[i];
          draft_.warn(where.file, where.word,
                      fmt::format("conflicting server name \"{}\" on {}, ignored", names[i], listen.address));
        }
      }
    }
  }

  Draft& draft_;
  Template default_key_;
  const std::shared_ptr<const std::map<std::string, std::string>> default_types_ = default_types();
  std::map<std::string, std::shared_ptr<Repository>> repositories_;
};

}  // namespace

Failure finish(Draft& draft, std::shared_ptr<const Config>& out) { return Finisher(draft).run(out); }

}  // namespace entrepot::config
