// Many clients at once on one object, each on a TLS connection of its own, HTTP/1.1 and HTTP/2 in turn.
//
//   fanout PORT CA CLIENTS PATH EXPECTED [h1|h2|mixed] [RANGE]
//
// All connections are made first, with a request for /ready (any answer will do); then all ask for PATH
// together. Hashes each body (XXH3) and compares it with the file EXPECTED. Prints one line of JSON: how many
// were right, seconds from the common start to the first byte of a body and to its end, and statuses. Built
// by lab.py.
#include <curl/curl.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Client {
  CURL* easy = nullptr;
  XXH3_state_t* hash = XXH3_createState();
  size_t bytes = 0;
  double first_byte = -1;
  double end = -1;
  CURLcode code = CURLE_OK;
  long status = 0;
  long version = 0;
};

Clock::time_point start;

double seconds_since_start() { return std::chrono::duration<double>(Clock::now() - start).count(); }

size_t take(char* data, size_t, size_t size, void* to) {
  auto* client = static_cast<Client*>(to);
  if (client->bytes == 0) client->first_byte = seconds_since_start();
  client->bytes += size;
  XXH3_64bits_update(client->hash, data, size);
  return size;
}

// Runs every transfer to its end. A connection is never shared, and kept for the next round.
void run(CURLM* multi, std::vector<std::unique_ptr<Client>>& clients) {
  for (auto& client : clients) {
    XXH3_64bits_reset(client->hash);
    client->bytes = 0;
    client->first_byte = client->end = -1;
    curl_multi_add_handle(multi, client->easy);
  }
  start = Clock::now();
  for (int running = 1; running > 0;) {
    curl_multi_perform(multi, &running);
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      Client* client = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &client);
      client->end = seconds_since_start();
      client->code = message->data.result;
      curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &client->status);
      curl_easy_getinfo(client->easy, CURLINFO_HTTP_VERSION, &client->version);
    }
    if (running > 0) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
  }
  for (auto& client : clients) curl_multi_remove_handle(multi, client->easy);
}

XXH64_hash_t hash_of_file(const std::string& path, size_t* size) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> buffer(1 << 20);
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  *size = 0;
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    XXH3_64bits_update(state, buffer.data(), static_cast<size_t>(file.gcount()));
    *size += static_cast<size_t>(file.gcount());
  }
  return XXH3_64bits_digest(state);
}

double part(std::vector<double> values, double share) {
  if (values.empty()) return -1;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

}  // namespace

int main(int count, char** words) {
  if (count < 6) {
    std::fprintf(stderr, "fanout PORT CA CLIENTS PATH EXPECTED [h1|h2|mixed] [RANGE]\n");
    return 2;
  }
  const std::string port = words[1], ca = words[2], path = words[4], expected = words[5];
  const int number = std::atoi(words[3]);
  const std::string mode = count > 6 ? words[6] : "mixed";
  curl_global_init(CURL_GLOBAL_ALL);
  CURLM* multi = curl_multi_init();
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(2 * number));

  // The protocols have a name each, so that no client takes a kept connection of the other kind.
  curl_slist* addresses = nullptr;
  for (const char* name : {"h1", "h2"}) {
    addresses =
        curl_slist_append(addresses, (std::string(name) + ".bench.test:" + port + ":127.0.0.1").c_str());
  }
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::string> bases;
  for (int i = 0; i < number; ++i) {
    auto client = std::make_unique<Client>();
    const bool h2 = mode == "h2" || (mode == "mixed" && i % 2 == 1);
    bases.push_back(std::string("https://") + (h2 ? "h2" : "h1") + ".bench.test:" + port);
    client->easy = curl_easy_init();
    curl_easy_setopt(client->easy, CURLOPT_URL, (bases.back() + "/ready").c_str());
    curl_easy_setopt(client->easy, CURLOPT_RESOLVE, addresses);
    curl_easy_setopt(client->easy, CURLOPT_CAINFO, ca.c_str());
    curl_easy_setopt(client->easy, CURLOPT_HTTP_VERSION,
                     static_cast<long>(h2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(client->easy, CURLOPT_TLS13_CIPHERS, "TLS_AES_128_GCM_SHA256");
    curl_easy_setopt(client->easy, CURLOPT_BUFFERSIZE, 262144L);
    curl_easy_setopt(client->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->easy, CURLOPT_TIMEOUT, 180L);
    curl_easy_setopt(client->easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(client->easy, CURLOPT_WRITEDATA, client.get());
    curl_easy_setopt(client->easy, CURLOPT_PRIVATE, client.get());
    clients.push_back(std::move(client));
  }
  run(multi, clients);
  for (size_t i = 0; i < clients.size(); ++i) {
    curl_easy_setopt(clients[i]->easy, CURLOPT_URL, (bases[i] + path).c_str());
    if (count > 7) curl_easy_setopt(clients[i]->easy, CURLOPT_RANGE, words[7]);
  }
  run(multi, clients);

  size_t size = 0;
  const XXH64_hash_t wanted = hash_of_file(expected, &size);
  std::vector<double> first, end;
  std::map<long, int> statuses, versions;
  int right = 0;
  long new_connections = 0;
  for (auto& client : clients) {
    long made = 0;
    curl_easy_getinfo(client->easy, CURLINFO_NUM_CONNECTS, &made);
    new_connections += made;
    ++statuses[client->status];
    ++versions[client->version == CURL_HTTP_VERSION_2_0 ? 2 : 1];
    if (client->code != CURLE_OK) {
      std::fprintf(stderr, "%s\n", curl_easy_strerror(client->code));
      continue;
    }
    right += client->bytes == size && XXH3_64bits_digest(client->hash) == wanted ? 1 : 0;
    first.push_back(client->first_byte);
    end.push_back(client->end);
  }
  std::string seen;
  for (auto [status, n] : statuses)
    seen += (seen.empty() ? "\"" : ", \"") + std::to_string(status) + "\": " + std::to_string(n);
  std::printf(
      "{\"clients\": %d, \"right\": %d, \"h1\": %d, \"h2\": %d, \"new_connections\": %ld, \"status\": {%s}, "
      "\"first_p50\": %.6f, \"first_max\": %.6f, \"end_p50\": %.6f, \"end_max\": %.6f}\n",
      number, right, versions[1], versions[2], new_connections, seen.c_str(), part(first, .5), part(first, 1),
      part(end, .5), part(end, 1));
  return 0;
}
