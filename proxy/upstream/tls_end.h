// TlsEnd: whether the peer of a TLS connection said that it had said all. libcurl 7.88 takes a bare FIN for a
// clean end, as it does in cleartext; but a server that crashes sends just that, and a body that only the
// close delimits would pass for whole.
#pragma once

#include <curl/curl.h>

#include <memory>

namespace entrepot::upstream {

struct TlsEnd {
  bool close_notify = false;
};

// From now on the connections that `easy` makes keep a TlsEnd.
void watch_tls_end(CURL* easy);
// That of the connection which `easy` uses now, also where another handle made it. Null: cleartext. Callable
// inside libcurl's callbacks.
std::shared_ptr<const TlsEnd> tls_end_of(CURL* easy);

}  // namespace entrepot::upstream
