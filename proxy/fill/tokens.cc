#include "proxy/fill/tokens.h"

#include "proxy/upstream/target.h"
#include "resolver/formats/oci_token.h"

namespace entrepot::fill {

namespace {

constexpr size_t kMaxTokenBytes = 64 * 1024;
constexpr std::time_t kTokenMargin = 5;  // seconds before its end at which a token is not used any more
constexpr size_t kMaxTokens = 10'000;
constexpr std::chrono::milliseconds kLookEvery{10};  // at what another's question has come to

// A reload may change whom a name stands for, and what is shown there.
std::string key_of(const Origin& origin) {
  const auto& credentials = origin.repository->credentials;
  return origin.repository->name + "\n" + origin.pass->host + "\n" + origin.scope + "\n" +
         (credentials ? sha256(std::as_bytes(std::span(credentials->value))).hex() : "");
}

}  // namespace

// Stands among the questions that run for as long as it lives: who waits goes on, however its frame ends.
class Tokens::Turn {
 public:
  Turn(Tokens& tokens, std::string key)
      : tokens_(tokens), key_(std::move(key)), question_(std::make_shared<Question>()) {
    tokens_.questions_[key_] = question_;
  }
  Turn(const Turn&) = delete;
  ~Turn() {
    question_->over = true;
    tokens_.questions_.erase(key_);
  }
  void settle(const std::string& token) {
    question_->answered = true;
    question_->token = token;
  }

 private:
  Tokens& tokens_;
  const std::string key_;
  const std::shared_ptr<Question> question_;
};

std::string Tokens::known(const Origin& origin) const {
  const auto found = tokens_.find(key_of(origin));
  if (found == tokens_.end() || found->second.good_until <= loop_.wall_seconds()) return {};
  return found->second.value;
}

io::Task<std::string> Tokens::answer(const Origin& origin, const upstream::UpstreamRequest& like,
                                     std::string challenge, std::string refused) {
  const std::string key = key_of(origin);
  while (true) {
    std::string newer = known(origin);  // somebody else was refused before, and has had another since
    if (!newer.empty() && newer != refused) co_return newer;
    const auto running = questions_.find(key);
    if (running == questions_.end()) break;
    const std::shared_ptr<Question> question = running->second;
    while (!question->over) co_await io::sleep_for(loop_, kLookEvery);
    if (question->answered) co_return question->token;
  }
  Turn turn(*this, key);
  std::string token = co_await fetch(origin, like, std::move(challenge));
  turn.settle(token);
  co_return token;
}

io::Task<std::string> Tokens::fetch(const Origin& origin, const upstream::UpstreamRequest& like,
                                    std::string challenge) {
  const auto known = resolver::parse_challenge(challenge);
  if (!known || known->scheme != resolver::Challenge::Scheme::kBearer) co_return std::string();
  upstream::UpstreamRequest request;
  request.url = resolver::token_url(*known, known->scope);
  request.connect_timeout = like.connect_timeout;
  request.read_timeout = like.read_timeout;
  request.tls_verify = like.tls_verify;
  request.tls_trusted_certificate = like.tls_trusted_certificate;
  const auto target = upstream::parse_target(request.url), registry = upstream::parse_target(like.url);
  if (!target || !registry) co_return std::string();
  const bool own_host = target->host_port() == registry->host_port() && target->https == registry->https;
  request.only_public = !own_host && !is_file_host(*origin.repository, *target);
  if (own_host) {
    request.tls_certificate = like.tls_certificate;
    request.tls_certificate_key = like.tls_certificate_key;
  }
  const auto& credentials = origin.repository->credentials;
  if (credentials && (target->https || own_host)) set_field(request, credentials->field, credentials->value);
  upstream::Exchange exchange = client_.start(std::move(request));
  Result<const upstream::UpstreamHead*> head = co_await exchange.head();
  if (!head) {
    log_trouble(origin, target->authority, exchange.detail());
    co_return std::string();
  }
  if ((*head)->status != 200) {
    // Where the edge has no credentials, who asks may have: the registry's challenge goes on to them.
    if (credentials) log_trouble(origin, target->authority, "it answered " + std::to_string((*head)->status));
    co_return std::string();
  }
  upstream::Bytes document;
  while (document.size() <= kMaxTokenBytes) {
    Result<upstream::Bytes> piece = co_await exchange.read();
    if (!piece) co_return std::string();
    if (piece->empty()) break;
    document.insert(document.end(), piece->begin(), piece->end());
  }
  const auto token = resolver::parse_token(document);
  if (!token) {
    log_trouble(origin, target->authority, "its answer has no token");
    co_return std::string();
  }
  if (tokens_.size() >= kMaxTokens) tokens_.clear();
  tokens_[key_of(origin)] = {token->value, loop_.wall_seconds() + token->lifetime_seconds - kTokenMargin};
  co_return token->value;
}

void Tokens::log_trouble(const Origin& origin, const std::string& server, const std::string& trouble) {
  log_error_("repository \"" + origin.repository->name + "\": no token of " + server + ": " + trouble);
}

}  // namespace entrepot::fill
