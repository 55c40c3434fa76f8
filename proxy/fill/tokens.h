// Tokens: what the token servers of registries gave, each for as long as it is good. One at a time asks for one;
// who wants the same meanwhile takes what it is given. Loop thread only.
//
// The credentials go with the question as docker sends them: over TLS, or to the upstream's own host.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "proxy/fill/origin.h"
#include "proxy/io/task.h"
#include "proxy/upstream/client.h"

namespace entrepot::fill {

class Tokens {
 public:
  Tokens(io::Loop& loop, upstream::Client& client, std::function<void(std::string)> log_error)
      : loop_(loop), client_(client), log_error_(std::move(log_error)) {}

  // What may be shown for what is asked of the origin; empty: nothing is known, or it is good no longer.
  std::string known(const Origin& origin) const;

  // Another than `refused`, which the registry did not take (empty: none was shown): had by the challenge that
  // it sent to `like`. Empty: there is no token server that we may ask, or it gives none.
  // REQUIRES: `origin` and `like` live until the answer.
  io::Task<std::string> answer(const Origin& origin, const upstream::UpstreamRequest& like,
                               std::string challenge, std::string refused);

 private:
  struct Token {
    std::string value;
    std::time_t good_until = 0;
  };
  // A question to a token server, as those see it who wait for its end.
  struct Question {
    bool over = false;
    bool answered = false;  // false when it is over: who asked was reset
    std::string token;
  };
  class Turn;
  io::Task<std::string> fetch(const Origin& origin, const upstream::UpstreamRequest& like,
                              std::string challenge);
  void log_trouble(const Origin& origin, const std::string& server, const std::string& trouble);

  io::Loop& loop_;
  upstream::Client& client_;
  const std::function<void(std::string)> log_error_;
  std::unordered_map<std::string, Token> tokens_;                          // by repository, scope, credentials
  std::unordered_map<std::string, std::shared_ptr<Question>> questions_;  // that run, by the same
};

}  // namespace entrepot::fill
