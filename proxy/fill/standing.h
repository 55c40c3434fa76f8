// Standing: what the sources of fills have come to by what they sent. Shared by all workers; thread-safe; a
// restart or a reload forgets it.
//
// A source is a server of an upstream. A subject is what it was asked for: a digest, or a name of which no
// digest is known beforehand. Bytes that do not match:
//   at once           the source is not asked for that subject for a minute, then two, four, up to ten: other
//                     sources are, and one bad blob costs nobody the rest of what the source has
//   the third time    (three subjects within ten minutes) it is asked last for everything, as long. Last and
//                     not never: as with nginx's max_fails nobody goes without for the only server there is
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "cache/digest.h"
#include "proxy/io/loop.h"

namespace entrepot::fill {

std::string subject_of(const std::optional<Digest>& expected, const cache::Name& name);

class Standing {
 public:
  using Time = io::Clock::time_point;
  using Seconds = std::chrono::seconds;

  bool may_ask(const std::string& source, const std::string& subject, Time now) const;
  bool comes_last(const std::string& source, Time now) const;
  // How long until one of the sources that are set aside for it may be asked again; zero: none is.
  Seconds wait_for(const std::string& subject, Time now) const;

  struct Verdict {
    Seconds aside{0};  // for this subject
    Seconds last{0};   // for everything; zero: not that far yet
  };
  Verdict note_lie(const std::string& source, const std::string& subject, Time now);
  // It is doubted for this subject, and that is not held against it elsewhere. Returns for how long.
  Seconds set_aside(const std::string& source, const std::string& subject, Time now);
  void forget();

  // While one is alive, bytes of the subject are being held against its digest. Readers may learn of a failed
  // fill before it is known here whose bytes they were: who would begin another waits until none is.
  class Trial {
   public:
    Trial(Standing& standing, std::string subject);
    ~Trial();
    Trial(const Trial&) = delete;

   private:
    Standing& standing_;
    const std::string subject_;
  };
  bool is_on_trial(const std::string& subject) const;

  struct Count {
    std::string source;
    uint64_t lies = 0, set_aside = 0;
  };
  std::vector<Count> counts() const;

 private:
  // Grows with each time, until nothing was heard for long.
  struct Sentence {
    Time until{};
    Seconds length{0};
    Seconds extend(Time now);
  };
  struct Record {
    uint64_t lies = 0, set_aside = 0;
    std::vector<std::pair<Time, std::string>> recent;  // lies, and their subjects
    Sentence last;
  };
  Sentence& sentence_for(const std::string& source, const std::string& subject, Time now);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::map<std::string, Sentence>>
      aside_;                              // by subject and source. GUARDED_BY(mutex_)
  std::map<std::string, Record> records_;  // by source. GUARDED_BY(mutex_)
  std::map<std::string, int> trials_;      // by subject. GUARDED_BY(mutex_)
};

}  // namespace entrepot::fill
