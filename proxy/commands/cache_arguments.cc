#include "proxy/commands/cache_arguments.h"

#include <algorithm>

namespace entrepot::commands {

namespace {

struct Command {
  std::string_view name, synopsis;
  std::string_view options;  // those that it takes, with spaces around each
  size_t min_operands, max_operands;
  std::string_view does, help;
};

constexpr size_t kMany = SIZE_MAX;

constexpr Command kCommands[] = {
    {"stat", "PATH [--json]", " --json ", 0, 0, "what the store holds, and who holds it",
     R"(Prints blobs, bytes, partial blobs, free room, names and bytes by space, what lies in
quarantine, and whether a process serves from the store. Reads the whole index, not the blobs.
Bytes that several names share count for each of them in its space, and once in the sum.

  --json   one object: exact bytes, times in seconds since 1970
)"},
    {"ls", "PATH [SPACE [PREFIX]] [-l] [--json]", " --json -l --long ", 0, 2, "the names in it",
     R"(Prints one name a line, in the order of spaces and names (those longer than 511 bytes come
last). SPACE is a repository ("repository:NAME") or a plain zone ("zone:NAME"), as `stat` lists
them; PREFIX is how the names begin.

  -l, --long  length, state, age, when the bytes were last asked for (to the hour), digest,
              space, name. State: whole; N% of a blob that is partial; gone (evicted: the name
              remembers the digest, and must bring it again); none (an answer without bytes)
  --json      one object a line, with all of that
)"},
    {"verify", "PATH [--quick] [--repair] [--json]", " --json --quick --repair ", 0, 0,
     "reads every byte of it, and tells what is wrong",
     R"(Reads every blob: its footer, its chunks against their checksums, all of it against its
SHA-256. Holds the index's records against the files and the files against the index. A name
whose bytes were evicted is no finding. Each finding is one line: its kind, its path, what is
wrong.

  --quick   the checksums alone, without SHA-256
  --repair  moves what is rotten to quarantine and forgets its record, so that the next request
            has it from the upstream again; enters sound blobs that the index does not know.
            What is beyond that it leaves alone
  --json    one object a line: the findings ("finding"), then the sums ("verified")

It reads the whole store: `nice ionice -c 3 entrepot cache verify PATH` gives way to who serves
from it.
)"},
    {"rm", "PATH SPACE NAME... | PATH SPACE --prefix PREFIX | PATH --digest sha256:HEX",
     " --json --digest --prefix ", 0, kMany, "forgets names, or removes blobs, at once",
     R"(A NAME is forgotten: the next request for it goes upstream, whichever worker has it, and a
fill that is under way does not bring the old answer back. Its bytes stay until they are evicted:
other names may share them.

  --prefix PREFIX  all names of SPACE that begin so; "" is all of them
  --digest D       the blob itself is removed, from the disk too. Names that point at it stay,
                   and must bring the same digest again: to have another, forget the name. May
                   be repeated
  --json           one object: how many of each, and what was not there

Exit code 1: something of it was not there.
)"},
    {"export", "PATH FILE|- [SPACE [PREFIX]] [--grants] [--json]", " --grants --json ", 1, 3,
     "writes blobs and names to an archive",
     R"(Writes a tar archive: complete blobs by their SHA-256, then the names that point at them and
the answers without bytes, as they are stored. Partial blobs stay, and so do names whose bytes are
gone. "-" writes to stdout.

  --grants  also which space may be given which digest on its upstream's word alone: that its
            upstream once brought or confirmed these bytes. Without, another edge finds out by
            itself: a question upstream, no bytes
  --json    one object a line, where FILE is a file: blobs that proved rotten ("rotten"), then
            the sums ("exported")

Exit code 1: a blob proved rotten; an import will refuse it.
)"},
    {"import", "PATH FILE|- [--grants] [--json]", " --grants --json ", 1, 1,
     "brings an archive's blobs and names in",
     R"(Each blob is hashed before it is entered; one whose bytes are not those of its name is
refused and told, and so are the names that point at it. What is there already is skipped, so that
an import that was broken off goes on when it is called again. A name that the store knows stays
as it is. "-" reads stdin.

  --grants  also the archive's grants, where it has them. They say that a repository's upstream
            vouched for bytes. Whoever made the archive then speaks for your upstreams: take them
            only from an edge of your own
  --json    one object a line: what was refused ("refused"), then the sums ("imported")

Exit code 1: something was refused.
)"},
};

constexpr std::string_view kCommonHelp = R"(
PATH is the directory of a proxy_cache_path. A running edge is looked at from beside and goes on
serving; it is seen as of its last commit (a second ago at most), and what changes it is carried
out by the process that holds it, through PATH/control. Where nobody holds the store the command
does so itself; as root it becomes the directory's owner first.

Exit code: 0 done, nothing wrong; 1 findings; 2 it could not be done.
)";

std::string overview() {
  std::string text = "Usage: entrepot cache COMMAND PATH ...\n\n";
  for (const Command& command : kCommands)
    text += "  entrepot cache " + std::string(command.name) + " " + std::string(command.synopsis) +
            "\n      " + std::string(command.does) + "\n";
  return text + std::string(kCommonHelp) + "\n`entrepot cache COMMAND --help` tells more of one.\n";
}

std::string help_of(const Command& command) {
  return "Usage: entrepot cache " + std::string(command.name) + " " + std::string(command.synopsis) + "\n\n" +
         std::string(command.help) + std::string(kCommonHelp);
}

class Reader {
 public:
  explicit Reader(std::span<const char* const> arguments) : arguments_(arguments) {}

  CacheArguments read() {
    if (arguments_.empty() || is_help(arguments_[0])) {
      if (arguments_.empty())
        read_.error = "\"cache\" requires a command: stat, ls, verify, rm, export or import";
      else
        read_.help = overview();
      return std::move(read_);
    }
    read_.command = arguments_[next_++];
    const auto* const command = std::ranges::find(kCommands, std::string_view(read_.command), &Command::name);
    if (command == std::end(kCommands)) {
      read_.error = "no command \"cache " + read_.command + "\": stat, ls, verify, rm, export or import";
      return std::move(read_);
    }
    read_all(*command);
    if (read_.help.empty() && read_.error.empty()) check(*command);
    return std::move(read_);
  }

 private:
  static bool is_help(std::string_view argument) { return argument == "--help" || argument == "-h"; }

  void read_all(const Command& command) {
    bool options = true;
    while (next_ < arguments_.size() && read_.error.empty()) {
      const std::string_view argument = arguments_[next_++];
      if (options && argument == "--") {
        options = false;
      } else if (!options || argument.size() < 2 || argument.front() != '-') {
        (read_.path.empty() ? read_.path : read_.operands.emplace_back()) = argument;
      } else if (is_help(argument)) {
        read_.help = help_of(command);
      } else if (command.options.find(" " + std::string(argument) + " ") == std::string_view::npos) {
        read_.error = "invalid option: \"" + std::string(argument) + "\"";
      } else {
        take(argument);
      }
    }
  }

  void take(std::string_view option) {
    if (option == "--json") read_.json = true;
    if (option == "-l" || option == "--long") read_.long_form = true;
    if (option == "--repair") read_.repair = true;
    if (option == "--quick") read_.quick = true;
    if (option == "--grants") read_.grants = true;
    if (option != "--digest" && option != "--prefix") return;
    if (next_ == arguments_.size()) {
      read_.error = "option \"" + std::string(option) + "\" requires " +
                    (option == "--digest" ? "a digest: sha256:HEX" : "how the names begin");
    } else if (option == "--digest") {
      read_.digests.emplace_back(arguments_[next_++]);
    } else {
      read_.prefix = arguments_[next_++];
    }
  }

  void check(const Command& command) {
    const size_t operands = read_.operands.size();
    if (read_.path.empty() || operands < command.min_operands || operands > command.max_operands) {
      expected(command);
    } else if (command.name == "rm") {
      const bool names = read_.prefix ? operands == 1 : operands >= 2;
      if (read_.digests.empty() ? !names : operands != 0 || read_.prefix) expected(command);
    } else if (command.name == "export" && read_.json && read_.operands[0] == "-") {
      read_.error = "\"--json\" prints to stdout, where the archive goes: expected a file";
    }
    while (read_.path.size() > 1 && read_.path.back() == '/') read_.path.pop_back();
  }

  void expected(const Command& command) {
    read_.error =
        "expected: entrepot cache " + std::string(command.name) + " " + std::string(command.synopsis);
  }

  std::span<const char* const> arguments_;
  size_t next_ = 0;
  CacheArguments read_;
};

}  // namespace

CacheArguments parse_cache_arguments(std::span<const char* const> arguments) {
  return Reader(arguments).read();
}

}  // namespace entrepot::commands
