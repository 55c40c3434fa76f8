#include "cache/result.h"

namespace entrepot {

std::string_view to_string(Error error) noexcept {
  switch (error) {
    case Error::kWouldBlock:
      return "would-block";
    case Error::kIo:
      return "io";
    case Error::kNoSpace:
      return "no-space";
    case Error::kCorrupt:
      return "corrupt";
    case Error::kBusy:
      return "busy";
    case Error::kPermission:
      return "permission";
    case Error::kUnsupported:
      return "unsupported";
    case Error::kMalformed:
      return "malformed";
    case Error::kDigestMismatch:
      return "digest-mismatch";
    case Error::kLengthMismatch:
      return "length-mismatch";
    case Error::kValidatorChanged:
      return "validator-changed";
    case Error::kNotCombinable:
      return "not-combinable";
    case Error::kConnect:
      return "connect";
    case Error::kTls:
      return "tls";
    case Error::kTimeout:
      return "timeout";
    case Error::kReset:
      return "reset";
    case Error::kProtocol:
      return "protocol";
    case Error::kBadStatus:
      return "bad-status";
    case Error::kCancelled:
      return "cancelled";
    case Error::kTooLarge:
      return "too-large";
  }
  std::abort();
}

}  // namespace entrepot
