#include "proxy/io/random.h"

#include <openssl/rand.h>

#include <array>
#include <cstdlib>

namespace entrepot::io {

std::string random_hex(size_t bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<unsigned char, 64> random;
  if (bytes > random.size() || RAND_bytes(random.data(), static_cast<int>(bytes)) != 1) std::abort();
  std::string text;
  text.reserve(bytes * 2);
  for (size_t i = 0; i < bytes; ++i) {
    text.push_back(kDigits[random[i] >> 4]);
    text.push_back(kDigits[random[i] & 15]);
  }
  return text;
}

}  // namespace entrepot::io
