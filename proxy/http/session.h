// Session: a protocol on one connection. The Connection brings bytes and takes bytes away; the Session owns
// the streams.
//
//   receive()* -> produce() -> (socket) -> receive() ... -> finished()
//   abandon() at any point: the transport is gone.
// Loop thread only. Source: RFC 9112 (http1_session), RFC 9113 (http2_session).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "proxy/http/stream.h"
#include "proxy/io/wire.h"

namespace entrepot::http {

class Connection;
class SessionStream;

class Session {
 public:
  enum class Phase : uint8_t {
    kIdle,  // between requests
    kHead,  // in the middle of a request's head
    kBusy,  // requests are being answered
  };

  virtual ~Session() = default;

  // What the peer sent. False: it broke the protocol beyond words, the connection ends without more.
  virtual bool receive(std::span<const std::byte> bytes) = 0;
  // The peer will send no more. False: nothing is worth sending, the connection ends.
  virtual bool end_of_input() = 0;
  // Appends until the wire is full or nothing is left. False: the connection must end short after what was
  // appended.
  virtual bool produce(io::Wire& wire) = 0;
  // The last produce() stopped because the wire was full.
  virtual bool has_more() const noexcept = 0;
  // Input is welcome. False holds the peer back.
  virtual bool wants_input() const noexcept = 0;
  // Nothing will follow: the connection closes when all is sent.
  virtual bool finished() const noexcept = 0;
  // Closed before its end must not look like an end, which the peer cannot tell by other means.
  virtual bool ends_by_close() const noexcept { return false; }

  virtual Phase phase() const noexcept = 0;
  // When phase() became what it is.
  virtual io::Clock::time_point since() const noexcept = 0;
  // No new requests after those under way. Called twice: `last` tells the second.
  virtual void drain(bool last) = 0;
  // About once a second: ends streams whose peer does not take what there is.
  virtual void sweep(io::Clock::time_point now) = 0;
  // The connection is gone: every stream is closed, incomplete.
  virtual void abandon() = 0;

  // Called by the streams.
  virtual void start_response(SessionStream& stream, const ResponseHead& head) = 0;
  virtual void send_interim(SessionStream& stream, int status, std::span<const Field> fields) = 0;
  virtual void content_wanted(SessionStream& stream) = 0;
  virtual void content_consumed(SessionStream& stream, size_t n) = 0;
  virtual void body_ready(SessionStream& stream) = 0;
  virtual void reset(SessionStream& stream, ResetReason reason) = 0;
};

std::unique_ptr<Session> make_http1_session(Connection& connection);
std::unique_ptr<Session> make_http2_session(Connection& connection);

}  // namespace entrepot::http
