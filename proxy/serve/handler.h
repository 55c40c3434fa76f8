// Handler: a request's way, from the parser's callback to the response. One per worker; loop thread only.
//
//   on_request -> place (site.h) -> return | file | pass through
//                                 | hit from the hot table, answered at once
//                                 | repository: resolved step by step (repository.cc), then as below
//                                 | miss: a coroutine that the stream owns (cached.cc):
//                                   index -> running fill -> claim -> head -> body
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/hot_table.h"
#include "proxy/fill/fill_task.h"
#include "proxy/http/stream.h"
#include "proxy/io/pool.h"
#include "proxy/serve/cache_status.h"
#include "proxy/serve/chunk_cache.h"
#include "proxy/serve/documents.h"
#include "proxy/serve/local_digests.h"
#include "proxy/serve/multipart_body.h"
#include "proxy/serve/pins.h"
#include "proxy/serve/request_path.h"
#include "proxy/serve/response.h"
#include "proxy/serve/rights.h"
#include "proxy/serve/site.h"
#include "proxy/serve/static_files.h"
#include "proxy/serve/whole_content.h"
#include "resolver/members.h"
#include "resolver/resolution.h"
#include "resolver/variants.h"

namespace entrepot::serve {

struct HandlerCounters {  // read by other threads
  std::atomic<uint64_t> requests{0}, hits{0}, misses{0}, collapsed{0}, passed{0}, errors{0}, corrupt{0},
      pins_replaced{0}, redirected{0}, documents_made{0};
};

// What answers a request from stored content.
struct Content {
  std::shared_ptr<const PreparedResponse> prepared;
  std::shared_ptr<cache::Blob> blob;
  std::shared_ptr<fill::FillWatch> watch;  // while the blob is arriving
  std::shared_ptr<cache::Cache> cache;
  CacheStatus status;
  std::string_view pinned_as{};  // the heading under which the connection remembers it; empty: it does not
  std::time_t fresh_until = std::numeric_limits<std::time_t>::max();  // the greatest: it never gets stale
  CacheStatusMembers members{};
  // With a watch: who has the rest where the disk fails under the fill. Null: nobody, or it could not be
  // combined.
  std::shared_ptr<const fill::Origin> origin{};
};

// A document that is to be made, once; constant.
struct Making {
  std::shared_ptr<cache::Cache> cache;
  cache::Name name;
  resolver::StoredResponse response;  // its entity tag tells what it is made of
  Blobs blobs;
  std::function<std::optional<std::string>(const Blobs&)> make;  // on a pool thread
};

class Handler final : public http::RequestHandler {
 public:
  struct Tools {
    io::Loop& loop;
    io::Pool& pool;
    io::Pool& hashing;  // one thread, for bytes of any length
    io::Pool& reading;  // one thread, for long documents, which take memory of many times their length
    fill::Asking& asking;
    fill::FillWatches& watches;
    fill::FillTasks& fills;
    ChunkCache& chunks;
    StaticFiles& files;
    LocalDigests& local_digests;
    Documents& documents;
    fill::Standing& standing;
    HandlerCounters& counters;
    std::function<void(std::string)> log_error;
    std::function<void(std::string)> log_info{};  // what clients send that is wrong
  };
  Handler(Tools tools, std::shared_ptr<Site> site);
  ~Handler() override;

  void on_request(http::Stream& stream) noexcept override;
  void on_close(http::Stream& stream, bool complete) noexcept override;
  // Requests from now on see this site.
  void replace_site(std::shared_ptr<Site> site);

 private:
  // A request on its way through a coroutine: what on_request found out about it.
  struct Asked {
    const Place* place = nullptr;
    std::shared_ptr<Site> site;  // `place` is its; the stream's own hold on it ends with the stream
    RequestPath path;
    std::string own_target;  // of a repository: what the client itself asks for
    std::string hot_key;     // under which this worker remembers the answer
    uint64_t hot_hash = 0;   // of the place that was asked, and that
    cache::Name name;        // of what is to be had, and how:
    uint64_t hash = 0;
    resolver::Wanted wanted;
    resolver::Fields extra;            // that the client gets besides
    bool moves = false;                // the same question may have another answer tomorrow
    std::shared_ptr<const Pins> pins;  // of the connection when the request came; may be null
    std::string pinned_as;             // see resolver::Serve
    bool for_ourselves = false;  // a document: the whole of it, whatever the client asks of its own answer
    std::time_t at = 0;
    uint64_t purges = 0;  // of the place's cache, when the request came
    std::time_t fresh_until = std::numeric_limits<std::time_t>::max();  // of what the resolution rests on
    CacheStatus found_by = CacheStatus::kNone;  // how the resolution had its last document; kNone: it had none
    std::vector<const config::Repository*> siblings;  // of a virtual repository, who else might have it
    std::string subject;                              // see fill::Standing
    bool is_loan = false;                             // asked of another repository than the client's
    bool loops = false;       // nobody may be asked: see is_loop
    bool was_part = false;    // a part of it was stored when this request came
    bool was_stored = false;  // something stale was stored when this request came
    // Of a plain location:
    resolver::RequestControl control{};  // what the client says of caching
    bool anew = false;                   // whatever is stored is validated
    bool not_stored = false;             // what comes is not stored
    bool has_credentials = false;        // the client's: only what is shareable is its answer
    resolver::Variants variants{};       // which `name` is one of; empty: none
    cache::Name base{};                  // whose variants these are
    uint64_t base_generation = 0;
    std::string barred;       // why it may not be asked for; empty: it may
    bool settled = false;     // since then the upstream has confirmed it, or named bytes that are stored
  };
  // A reader of a fill.
  struct Following {
    Following(io::Loop& loop, std::shared_ptr<fill::FillWatch> of, fill::DemandHold need)
        : news(loop),
          watch(std::move(of)),
          reader(watch, [this] { news.notify(); }),
          demand(std::move(need)) {}
    io::Signal news;
    std::shared_ptr<fill::FillWatch> watch;
    fill::FillWatch::Reader reader;
    fill::DemandHold demand;
  };
  // What came of looking for an answer.
  struct Outcome {
    enum class Kind : uint8_t {
      kStored,   // `stored`, `response`
      kFilling,  // `following`; its head is known
      kPassed,   // not for sharing: `exchange`, where it is this request's own answer
      kNothing,  // only what is stored was wanted, and nothing is
      kHead,     // a HEAD for what is not stored
      kAbsent,   // no file of a local repository
      kFailed    // `error`, `trouble`
    };
    Kind kind = Kind::kFailed;
    std::optional<cache::StoredName> stored;
    std::optional<resolver::StoredResponse> response;
    uint64_t generation = 0;
    CacheStatus status = CacheStatus::kMiss;
    std::unique_ptr<Following> following;
    std::string metadata;
    std::optional<upstream::Exchange> exchange;
    Error error = Error::kCancelled;
    std::string trouble;
    bool must_validate = false;  // of kFailed: what is stored forbids to be served unvalidated
  };
  struct Hot {
    std::shared_ptr<const PreparedResponse> prepared;
    std::weak_ptr<cache::Blob> blob;     // the store decides which files stay open
    std::shared_ptr<cache::Blob> small;  // the same, where its bytes are in memory
    std::shared_ptr<cache::Cache> cache;
    uint64_t name_hash = 0;  // of the stored name
    uint64_t generation = 0;
    std::time_t fresh_until = 0;
    std::time_t touched = 0;
    bool lasts = false;  // this question never has another answer
    std::string pinned_as;
    bool is_resolved = false;  // it rests on more than its own name: any purge since has it resolved anew
    uint64_t purges = 0;
    std::shared_ptr<const resolver::Variants> variants{};  // then it has nothing else but name and generation
  };

  // methods.cc
  bool serve_method(http::Stream& stream, const Place& place);
  void serve_options(http::Stream& stream, const Place& place);
  bool read_host(const http::Request& request);
  const config::Server& server_of(uintptr_t listener);
  void refuse_host(http::Stream& stream, const Place& place);
  void refuse_loop(http::Stream& stream, const Place& place);
  bool is_misdirected(const http::Stream& stream, const Place& place) const;

  void serve_at(http::Stream& stream, const Place& place, std::optional<RequestPath> path);
  bool serve_hit(http::Stream& stream, const Place& place);
  bool serve_variant(http::Stream& stream, const Place& place, const Hot& by_what);
  bool serve_hot(http::Stream& stream, const Place& place, Hot& found, uint64_t hash, const std::string& key);
  void set_name(const http::Stream& stream, const Place& place, const RequestPath& path);
  void serve_return(http::Stream& stream, const Place& place, const RequestPath& path);

  void redirect_to_slash(http::Stream& stream, const Place& place, std::string_view args);

  // error_page.cc
  std::shared_ptr<Site> site_of(const http::Stream& stream) const;
  bool serve_error_page(http::Stream& stream, const Place& place, int status);
  void redirect_by_error_page(http::Stream& stream, const Place& place, const config::ErrorPage& page, int status);

  // cached.cc
  io::Task<void> serve_cached(http::Stream& stream, std::unique_ptr<Asked> asked);
  io::Task<void> serve_outcome(http::Stream& stream, std::unique_ptr<Asked> asked, Outcome outcome);
  io::Task<void> serve_head(http::Stream& stream, std::unique_ptr<Asked> asked, Outcome outcome);
  static int status_of(const Outcome& outcome);
  void alarm_of_pin(const Asked& asked, const cache::StoredName& stored);
  bool updates_behind(const Asked& asked, const resolver::StoredResponse& response) const;
  bool stale_may_serve(const Asked& asked, const Outcome& stale, Error why) const;
  io::Task<std::optional<cache::StoredName>> look_up(http::Stream& stream, Asked& asked, uint64_t& generation);
  void insert_hot(const http::Stream& stream, const Asked& asked, std::shared_ptr<Hot> hot, size_t bytes);
  static void want(Asked& asked, resolver::Wanted wanted);
  io::Task<Outcome> find(http::Stream& stream, Asked& asked);
  io::Task<void> end_of(std::shared_ptr<cache::Fill> fill);
  bool usable(const http::Stream& stream, const Asked& asked, const cache::StoredName& stored,
              const resolver::StoredResponse& response) const;
  static void add_extra(const Asked& asked, const std::optional<Digest>& digest,
                        resolver::StoredResponse& response);
  void serve_stored(http::Stream& stream, const Asked& asked, Outcome& outcome);
  static std::string_view forward_reason(const Asked& asked);
  void serve_filling(http::Stream& stream, const Asked& asked, const Outcome& outcome);
  // plain.cc
  bool serve_plain_hit(const http::Stream& stream, const Place& place, const Hot& hot) const;
  bool passes_by(const http::Stream& stream, const Asked& asked, const resolver::StoredResponse* stored) const;
  void note_unshared(const http::Stream& stream, const Asked& asked);
  static bool is_personal(const http::Stream& stream, const Asked& asked);
  static bool may_follow(const Asked& asked, const std::string& metadata);
  void ask_plain(http::Stream& stream, Asked& asked);
  void note_head(const Asked& asked, const Outcome& outcome, const upstream::UpstreamHead& head);
  static void append_key(const http::Stream& stream, const Place& place, const RequestPath& path,
                         std::string_view target, std::string& key);
  void invalidate(const http::Stream& stream, int status, const resolver::Fields& fields);
  fill::FillPlan plan_of(http::Stream& stream, const Asked& asked, std::shared_ptr<cache::Fill> fill);

  // lenders.cc
  io::Task<std::vector<const config::Repository*>> find_lenders(const Asked& asked,
                                                                std::optional<Digest> digest);
  fill::Origin lender_origin(const http::Stream& stream, const Asked& asked,
                             const config::Repository& lender) const;

  // repository.cc
  struct Whole {
    int status = 0;  // 200: `blob` is all there; 0: nobody answered
    std::shared_ptr<cache::Blob> blob;
    Digest digest;  // its bytes' SHA-256
    resolver::StoredResponse response;
    std::string trouble;
    std::string_view refused;  // see resolver::Found
  };
  static resolver::Question question_for(const http::Stream& stream, const Asked& asked);
  io::Task<void> serve_repository(http::Stream& stream, std::unique_ptr<Asked> asked);
  io::Task<resolver::Step> resolve(http::Stream& stream, Asked& asked, resolver::Question question);
  io::Task<void> conclude(http::Stream& stream, std::unique_ptr<Asked> asked, resolver::Step step);
  io::Task<void> begin(http::Stream& stream, Asked& asked, resolver::Serve& serve);
  static Asked for_ourselves(const Asked& asked, resolver::Wanted wanted);
  io::Task<void> bring_in(http::Stream& stream, const Asked& asked, std::vector<resolver::Wanted> ahead);
  io::Task<std::optional<Digest>> digest_of(std::shared_ptr<cache::Blob> blob);
  io::Task<Whole> find_whole(http::Stream& stream, Asked& asked, resolver::Wanted wanted);
  io::Pool& pool_for(uint64_t length_bytes) const;
  io::Task<Whole> pinned_whole(const Pin& pin);
  io::Task<resolver::Found> find_document(http::Stream& stream, Asked& asked, resolver::Fetch fetch);
  io::Task<resolver::Found> find_fields(http::Stream& stream, Asked& asked, resolver::Wanted wanted);
  io::Task<resolver::Found> recall_notes(const Asked& asked, std::string name);
  io::Task<void> take_note(const Asked& asked, resolver::Note note);

  // derived.cc
  // What a document is made of.
  struct Sources {
    Blobs blobs;
    std::vector<Digest> digests;
    Whole first;  // of those that are there; where none is, of all
  };
  struct Made {
    std::string name, made_with, content_type;                     // as of a Derive
    std::function<std::optional<std::string>(const Blobs&)> make;  // on a pool thread
    std::string_view rule;
    bool is_checksum = false;  // of something that may be long
  };
  io::Task<void> serve_derived(http::Stream& stream, std::unique_ptr<Asked> asked, resolver::Derive derive);
  io::Task<void> serve_from(http::Stream& stream, std::unique_ptr<Asked> asked, Sources sources,
                            resolver::Derive derive);
  io::Task<Sources> find_sources(http::Stream& stream, Asked& asked, std::vector<resolver::Wanted> wanted);
  void refuse_sources(http::Stream& stream, const Asked& asked, const Whole& first);
  io::Task<void> serve_made(http::Stream& stream, std::unique_ptr<Asked> asked, Sources sources, Made made);
  io::Task<Outcome> find_made(const Asked& asked, std::shared_ptr<const Making> making, io::Pool& pool);

  // virtual.cc
  io::Task<void> serve_virtual(http::Stream& stream, std::unique_ptr<Asked> asked);
  io::Task<void> serve_merged(http::Stream& stream, std::unique_ptr<Asked> asked,
                              std::vector<const Place*> members, resolver::Merge merge);
  io::Task<bool> serve_member(http::Stream& stream, const Asked& whole, std::unique_ptr<Asked> asked,
                              resolver::Step step, std::string note);
  void remember_winner(const Asked& whole, const Asked& asked, const Outcome& outcome, std::string note);
  io::Task<bool> ask_holder(http::Stream& stream, const Asked& asked, std::vector<const Place*>& members,
                            resolver::Wanted thing);

  // given.cc
  void serve_given(http::Stream& stream, const Asked& asked, const resolver::Give& give);
  void refuse_input(http::Stream& stream, const Place& place, int status, std::string_view error,
                    std::string_view detail, std::string_view rule);
  void log_bad_input(const http::Stream& stream, int status, std::string_view detail, std::string_view rule);
  void refuse_step(http::Stream& stream, const Asked& asked, const resolver::Refuse& refusal);
  io::Task<std::optional<resolver::Give>> head_of_made(http::Stream& stream, Asked& asked,
                                                       const resolver::Derive& derive);

  // cdn_redirect.cc
  bool take_link(http::Stream& stream, const Place& place);
  bool redirect_to_cdn(http::Stream& stream, const Place& place, uint64_t length_bytes);

  // rights.cc
  static std::string right_of(const http::Stream& stream, const Place& place, const RequestPath& path);
  io::Task<void> serve_with_right(http::Stream& stream, std::unique_ptr<Asked> asked);
  void refuse_right(http::Stream& stream, const Place& place, const upstream::UpstreamHead& head);

  // passing.cc
  struct Passing {
    std::optional<upstream::Exchange> exchange;  // its head is there; else
    Error error = Error::kConnect;
    std::string trouble = "no server of the upstream group is up, or all are assumed offline";
  };
  void answer_passing(http::Stream& stream, const Asked& asked, Passing passing);
  io::Task<Passing> open_pass(http::Stream& stream, const Asked& asked);
  io::Task<void> serve_pass(http::Stream& stream, std::unique_ptr<Asked> asked, CacheStatus status);
  void relay(http::Stream& stream, const Asked& asked, upstream::Exchange exchange, CacheStatus status);
  static void tell_way(const http::Stream& stream, const Place& place, bool knows_client,
                       resolver::Fields& fields);
  fill::Origin origin_of(const http::Stream& stream, const Asked& asked, bool for_cache) const;
  void add_content(http::Stream& stream, const Asked& asked, std::string_view method, fill::Origin& origin) const;
  bool refuse_content(http::Stream& stream, const Place& place);
  void refuse_upstream(http::Stream& stream, const Place* place, Error error, const std::string& trouble,
                       std::string_view rule = {}, std::chrono::seconds retry_after = {});

  // files.cc
  io::Task<void> serve_file(http::Stream& stream, std::unique_ptr<Asked> asked);
  io::Task<Outcome> find_file(const Asked& asked);

  // answer.cc
  void answer(http::Stream& stream, const Place& place, const Content& content);
  void shape_fields(http::Stream& stream, const Place& place, bool may_redirect);  // shaping.cc
  void tell_digests(http::Stream& stream, const PreparedResponse& prepared, bool whole);
  void refuse_content(http::Stream& stream, const Place& place, const Content& content, int status);
  std::string_view cache_status_of(http::Stream& stream, const Content& content);
  std::unique_ptr<http::Body> make_body(const Content& content, ByteRange part, bool whole,
                                        fill::DemandHold demand);
  void send_content(http::Stream& stream, const Content& content, const http::ResponseHead& head,
                    uint64_t begin, uint64_t end, bool whole);
  void send_parts(http::Stream& stream, const Content& content, const http::ResponseHead& head,
                  Multipart multipart);
  void add_configured(http::Stream& stream, const Place& place, int status);
  void refuse(http::Stream& stream, const Place* place, int status, std::string_view error,
              std::string_view detail, std::span<const http::Field> extra = {},
              std::shared_ptr<const void> keep = nullptr);
  void refuse(http::Stream& stream, const Place* place, int status, std::string_view error,
              std::string_view detail, std::initializer_list<http::Field> extra) {
    refuse(stream, place, status, error, detail, std::span(extra.begin(), extra.size()));
  }
  std::string_view date_text(http::Stream& stream);

  Tools tools_;
  std::shared_ptr<Site> site_;
  std::vector<std::shared_ptr<Site>> old_sites_;  // that running requests still hold
  cache::HotTable<Hot> hot_;
  cache::Name name_;  // scratch of the request in hand: the space, and the hot key
  Rights rights_;
  std::unordered_map<uint64_t, std::time_t> unshared_until_;  // names whose answers to credentials are one client's
  std::unordered_map<uint64_t, uint32_t> uses_;  // of names that are not stored yet: proxy_cache_min_uses
  // Of the request in hand, and kept: the next one's are most often the same.
  std::string authority_, lowered_;         // as it came, and what read_host makes of it
  const config::Server* server_ = nullptr;  // that these lead to, on this listener; null: not looked for yet
  uintptr_t server_listener_ = 0;
  std::vector<http::Field> fields_;
  std::string text_, log_line_;
  std::string date_;
  std::time_t date_at_ = 0;
};

}  // namespace entrepot::serve
