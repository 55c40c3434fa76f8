// Files of a local directory: a location's root, or a local repository.
#include "proxy/config/routing.h"
#include "proxy/serve/handler.h"
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

}  // namespace

io::Task<void> Handler::serve_file(http::Stream& stream, std::unique_ptr<Asked> asked) {
  const Place& place = *asked->place;
  std::string path(asked->path.path());
  if (place.repository) path = config::path_within(*place.location, path);
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
  resolver::StoredResponse response;
  response.fields = {{"content-type", std::string(media_type(*place.conf, path))},
                     {"last-modified", resolver::format_http_date(opened.file->modified)},
                     {"etag", opened.file->etag}};
  auto prepared =
      PreparedResponse::make(std::move(response), opened.file->blob->length_bytes(), std::nullopt, false);
  const Content content{std::move(prepared), opened.file->blob, nullptr, nullptr, CacheStatus::kNone};
  answer(stream, place, content);
}

}  // namespace entrepot::serve
