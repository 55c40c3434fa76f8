// Bodies of our own errors: application/problem+json (RFC 9457). Pure.
#pragma once

#include <string>
#include <string_view>

namespace entrepot::http {

// "Bad Gateway". For a status without a phrase: that of its class ("Client Error", "Server Error"), else
// "Unknown".
std::string_view reason_phrase(int status) noexcept;

// {"type":"about:blank","title":"Bad Gateway","status":502,"error":"connect","detail":"...","request_id":"..."}
// `error`: a stable word for machines (to_string(Error) where there is one). `detail`: one sentence for
// people, cut to 512 bytes between characters; left out when empty. What is not UTF-8 in them is replaced.
// `request_id`: by which the log's lines on the request are found; left out when empty.
std::string problem_body(int status, std::string_view error, std::string_view detail,
                         std::string_view request_id = {});

}  // namespace entrepot::http
