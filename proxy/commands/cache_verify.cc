#include <iostream>
#include <vector>

#include "cache/verification.h"
#include "proxy/commands/cache_command.h"
#include "proxy/commands/output.h"
#include "proxy/commands/store_change.h"
#include "proxy/commands/store_control.h"

namespace entrepot::commands {

namespace {

using cache::Finding;

void print(const Finding& finding, bool json) {
  const std::string kind(to_string(finding.kind));
  if (!json) {
    std::cout << kind << std::string(14 - kind.size(), ' ') << finding.path << ": " << finding.detail
              << std::endl;
    return;
  }
  print_json({{"finding", kind},
              {"path", finding.path},
              {"detail", finding.detail},
              {"digest", finding.digest ? Json(finding.digest->str()) : Json()},
              {"space", finding.name ? Json(finding.name->space) : Json()},
              {"name", finding.name ? Json(finding.name->text) : Json()}});
}

// What is asked of whoever holds the store; null where nothing mends it.
Json mend(const Finding& finding) {
  using Kind = Finding::Kind;
  switch (finding.kind) {
    case Kind::kRotten:
    case Kind::kFooter:
    case Kind::kLength:
    case Kind::kMissing:
      if (finding.digest)
        return {{"do", "repair"}, {"digest", finding.digest->str()}, {"rotten", true}};
      if (finding.name)
        return {{"do", "forget"}, {"space", finding.name->space}, {"name", finding.name->text}};
      return {};
    case Kind::kUnknownFile:
      return {{"do", "repair"}, {"digest", finding.digest->str()}};
    default:
      return {};
  }
}

// Returns how many were mended; `error` says why no more.
uint64_t mend_all(const std::string& path, const std::vector<Json>& requests, std::string& error) {
  if (requests.empty()) return 0;
  const auto holder = StoreHolder::find(path, error);
  uint64_t mended = 0;
  for (size_t i = 0; holder && i < requests.size(); ++i) {
    const Json done = holder->ask(requests[i]);
    if (done.contains("error")) {
      error = text_of(done, "error");
      break;
    }
    ++mended;
  }
  return mended;
}

}  // namespace

int verify_store(const CacheArguments& arguments, Store store) {
  const std::string path = store->path();
  const auto expected = store->totals();
  Progress progress("verify " + path, expected ? expected->bytes : 0, arguments.json);
  std::vector<Json> requests;
  cache::VerificationOptions options;
  options.quick = arguments.quick;
  options.held = find_holder(path).has_value();
  options.on_read = [&](uint64_t bytes) { progress.at(bytes); };
  options.on_finding = [&](const Finding& finding) {
    progress.clear();
    print(finding, arguments.json);
    if (Json request = mend(finding); arguments.repair && !request.is_null())
      requests.push_back(std::move(request));
  };
  const cache::VerificationTotals totals = cache::verify(*store, options);
  progress.clear();
  store.reset();  // who mends it may be this process, and nobody opens an index twice
  std::string error;
  const uint64_t mended = mend_all(path, requests, error);
  if (arguments.json) {
    print_json({{"verified",
                 {{"blobs", totals.blobs},
                  {"inline_blobs", totals.inline_blobs},
                  {"partial_blobs", totals.partial_blobs},
                  {"bytes_read", totals.bytes_read},
                  {"files", totals.files},
                  {"left_over_files", totals.left_over_files},
                  {"names", totals.names},
                  {"dangling_names", totals.dangling_names},
                  {"findings", totals.findings},
                  {"repaired", mended}}}});
  } else {
    std::cout << counted(totals.blobs, "blob") << ", " << readable_size(totals.bytes_read) << " read, "
              << counted(totals.names, "name") << ": "
              << (totals.findings == 0 ? "nothing wrong" : counted(totals.findings, "finding"));
    if (arguments.repair) std::cout << ", " << mended << " repaired";
    std::cout << "\n";
  }
  if (!error.empty()) return could_not(error);
  return totals.findings == 0 ? kGood : kFindings;
}

}  // namespace entrepot::commands
