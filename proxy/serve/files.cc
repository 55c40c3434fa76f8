// Files of a local directory: a location's root, or a local repository.
#include "proxy/config/routing.h"
#include "proxy/serve/handler.h"
#include "proxy/serve/request_variables.h"
#include "resolver/http_date.h"

namespace entrepot::serve {

namespace {

std::string_view media_type(const config::Shared& conf, std::string_view path) {
  const size_t dot = path.rfind('.');
  if (conf.types && dot != std::string_view::npos && path.find('/', dot) == std::string_view::npos) {
    const auto found = conf.types->find(std::string(path.substr(dot + 1)));
    if (found != conf.types->end()) return found->second;
  }
  return conf.default_type;
}

resolver::StoredResponse response_of(const config::Shared& conf, std::string_view path, const StaticFile& file) {
  resolver::StoredResponse response;
  response.fields = {{"content-type", std::string(media_type(conf, path))},
                     {"last-modified", resolver::format_http_date(file.modified)},
                     {"etag", file.etag}};
  return response;
}

// The path of a file below its root, as a target that is written for an upstream names it. Empty: it names
// none.
std::string path_of_target(const std::string& target) {
  const auto path = parse_request_path(target);
  return path ? std::string(path->path()) : std::string();
}

}  // namespace

io::Task<void> Handler::serve_file(http::Stream& stream, std::unique_ptr<Asked> asked) {
  const Place& place = *asked->place;
  std::string path = file_below(stream, place, asked->path);
  auto job = [&files = tools_.files, root = place.root, path] { return files.open(root, path); };
  StaticFiles::Opened opened = co_await tools_.pool.run(tools_.loop, std::move(job));
  if (!opened.file) {
    const bool forbidden = opened.error == FileError::kForbidden || opened.error == FileError::kIsDirectory;
    const int status = opened.error == FileError::kNotFound ? 404 : forbidden ? 403 : 500;
    refuse(stream, &place, status,
           status == 404   ? "not-found"
           : status == 403 ? "forbidden"
                           : "io",
           "no file is served under this path");
    co_return;
  }
  auto prepared = PreparedResponse::make(response_of(*place.conf, path, *opened.file),
                                         opened.file->blob->length_bytes(), std::nullopt, false);
  const Content content{std::move(prepared), opened.file->blob, nullptr, nullptr, CacheStatus::kNone};
  answer(stream, place, content);
}

// A file of a local repository, with its digest. Of a folder its index, as a page of a Python index is kept.
io::Task<Handler::Outcome> Handler::find_file(const Asked& asked) {
  const Place& place = *asked.place;
  std::string path = path_of_target(asked.wanted.target);
  auto job = [&files = tools_.files, &digests = tools_.local_digests, &hashing = tools_.hashing, cache = place.cache,
              space = place.space, root = place.root, path]() mutable {
    StaticFiles::Opened opened = files.open(root, path);
    if (!opened.file && opened.error == FileError::kIsDirectory) {
      path += path.ends_with('/') ? "index.html" : "/index.html";
      opened = files.open(root, path);
    }
    if (opened.file)
      digests.learn(cache, space, path, opened.file,
                    [&hashing](std::function<void()> work) { hashing.submit(std::move(work)); });
    return std::make_pair(std::move(opened), std::move(path));
  };
  const auto result = co_await tools_.pool.run(tools_.loop, std::move(job));
  const auto& [opened, found] = result;
  Outcome outcome;
  outcome.status = CacheStatus::kNone;
  if (!opened.file) {
    outcome.kind = opened.error == FileError::kIo ? Outcome::Kind::kFailed : Outcome::Kind::kAbsent;
    outcome.error = Error::kIo;
    outcome.trouble = "the file cannot be read";
    co_return outcome;
  }
  const auto known = opened.file->blob->digest();
  const auto& promised = asked.wanted.digest;
  if (known && promised && promised->algorithm == DigestAlgorithm::kSha256 && *known != *promised) {
    outcome.error = Error::kDigestMismatch;
    outcome.trouble = "the file is not what was promised of it: " + promised->str();
    co_return outcome;
  }
  outcome.kind = Outcome::Kind::kStored;
  outcome.response = response_of(*place.conf, found, *opened.file);
  outcome.stored = cache::StoredName{};
  outcome.stored->blob = opened.file->blob;
  co_return outcome;
}

}  // namespace entrepot::serve
