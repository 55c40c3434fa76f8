// The commands that change a store: rm, import.
#include <sys/stat.h>

#include <iostream>

#include "proxy/commands/cache_command.h"
#include "proxy/commands/output.h"
#include "proxy/commands/store_change.h"

namespace entrepot::commands {

namespace {

// What `rm` asks for, each with what it calls it.
std::vector<std::pair<std::string, Json>> removals(const CacheArguments& arguments) {
  std::vector<std::pair<std::string, Json>> all;
  for (const std::string& digest : arguments.digests)
    all.emplace_back(digest, Json{{"do", "remove"}, {"digest", digest}});
  if (!arguments.digests.empty()) return all;
  const std::string& space = arguments.operands[0];
  if (arguments.prefix) {
    all.emplace_back(*arguments.prefix,
                     Json{{"do", "forget"}, {"space", space}, {"prefix", *arguments.prefix}});
    return all;
  }
  for (size_t i = 1; i < arguments.operands.size(); ++i) {
    const std::string& name = arguments.operands[i];
    all.emplace_back(name, Json{{"do", "forget"}, {"space", space}, {"name", name}});
  }
  return all;
}

}  // namespace

int remove_from(const CacheArguments& arguments) {
  for (const std::string& text : arguments.digests) {
    const auto digest = Digest::parse(text);
    if (!digest || digest->algorithm != DigestAlgorithm::kSha256)
      return could_not("no digest \"" + text + "\": expected sha256: and 64 hex digits");
  }
  std::string error;
  const auto holder = StoreHolder::find(arguments.path, error);
  if (!holder) return could_not(error);
  uint64_t forgotten = 0, removed = 0;
  Json missing = Json::array();
  for (const auto& [what, request] : removals(arguments)) {
    const Json done = holder->ask(request);
    if (done.contains("error")) return could_not(what + ": " + text_of(done, "error"));
    const uint64_t names = number_of(done, "forgotten"), blobs = number_of(done, "removed");
    forgotten += names;
    removed += blobs;
    if (names + blobs > 0) continue;
    missing.push_back(what);
    if (!arguments.json) warn("not there: " + printable(what));
  }
  const bool all = missing.empty();
  if (arguments.json) {
    print_json({{"forgotten", forgotten}, {"removed", removed}, {"missing", std::move(missing)}});
  } else if (arguments.digests.empty()) {
    std::cout << counted(forgotten, "name") << " forgotten\n";
  } else {
    std::cout << counted(removed, "blob") << " removed\n";
  }
  return all ? kGood : kFindings;
}

int import_into(const CacheArguments& arguments, int fd) {
  std::string error;
  const auto holder = StoreHolder::find(arguments.path, error);
  if (!holder) return could_not(error);
  struct stat st {};
  const bool sized = ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
  Progress progress("import " + arguments.operands[0], sized ? static_cast<uint64_t>(st.st_size) : 0,
                    arguments.json);
  const auto on_told = [&](const Json& told) {
    if (told.contains("at")) progress.at(number_of(told, "at"));
    if (!told.contains("refused")) return true;
    progress.clear();
    if (arguments.json)
      print_json(told);
    else
      warn("refused: " + printable(text_of(told, "refused")) + ": " + text_of(told, "why"));
    return true;
  };
  const Json done = holder->ask({{"do", "import"}, {"grants", arguments.grants}}, fd, on_told);
  progress.clear();
  if (arguments.json) {
    print_json({{"imported", done}});
  } else if (done.contains("blobs")) {
    std::cout << counted(number_of(done, "blobs"), "blob") << " (" << readable_size(number_of(done, "bytes"))
              << ") and " << counted(number_of(done, "names"), "name") << " entered, "
              << number_of(done, "known_blobs") << " and " << number_of(done, "known_names")
              << " were there, " << number_of(done, "refused") << " refused";
    if (arguments.grants) std::cout << "; " << counted(number_of(done, "grants"), "grant");
    std::cout << "\n";
  }
  if (const std::string why = text_of(done, "error"); !why.empty())
    return could_not("import of " + arguments.operands[0] + ": " + why);
  return number_of(done, "refused") == 0 ? kGood : kFindings;
}

}  // namespace entrepot::commands
