#include <curl/curl.h>
#include <event2/event.h>
#include <lmdb.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>

#include <span>
#include <string>

#include "proxy/edge.h"
#include "proxy/io/blocks.h"
#include "proxy/program.h"

namespace {

std::string build_text() {
  return "built by " +
#ifdef __clang__
         std::string("clang ") +
#else
         std::string("gcc ") +
#endif
         __VERSION__ + "\nbuilt with " + OpenSSL_version(OPENSSL_VERSION) + "\nlibraries: libevent/" +
         event_get_version() + " nghttp2/" + nghttp2_version(0)->version_str + " lmdb/" +
         std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) + "." +
         std::to_string(MDB_VERSION_PATCH) + " " + curl_version() + "\n";
}

}  // namespace

int main(int argc, char** argv) {
  entrepot::io::use_blocks_in_openssl();
  const std::span<const char* const> arguments(argv + (argc > 0 ? 1 : 0),
                                               static_cast<size_t>(argc > 0 ? argc - 1 : 0));
  return entrepot::run_program(arguments,
                               {"entrepot/" ENTREPOT_VERSION, build_text(), entrepot::Edge::create});
}
