#include "proxy/fill/standing.h"

#include <algorithm>

namespace entrepot::fill {

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::seconds kFirst = 60s, kLongest = 600s;
constexpr std::chrono::seconds kMemory = 600s;  // of a lie, and of a sentence after its end
constexpr size_t kLies = 3;
constexpr size_t kMaxSubjects = 10'000, kMaxSources = 1'000;

}  // namespace

std::string subject_of(const std::optional<Digest>& expected, const cache::Name& name) {
  return expected ? expected->str() : name.space + " " + name.text;
}

Standing::Seconds Standing::Sentence::extend(Time now) {
  if (now < until) return length;  // several fills found out about the same
  length = now > until + kMemory ? kFirst : std::min(length * 2, kLongest);
  until = now + length;
  return length;
}

bool Standing::may_ask(const std::string& source, const std::string& subject, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto known = aside_.find(subject);
  if (known == aside_.end()) return true;
  const auto sentence = known->second.find(source);
  return sentence == known->second.end() || now >= sentence->second.until;
}

bool Standing::comes_last(const std::string& source, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto known = records_.find(source);
  return known != records_.end() && now < known->second.last.until;
}

Standing::Seconds Standing::wait_for(const std::string& subject, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto known = aside_.find(subject);
  Seconds least{0};
  if (known == aside_.end()) return least;
  for (const auto& [source, sentence] : known->second) {
    if (now >= sentence.until) continue;
    const Seconds left = std::chrono::ceil<Seconds>(sentence.until - now);
    if (least.count() == 0 || left < least) least = left;
  }
  return least;
}

Standing::Sentence& Standing::sentence_for(const std::string& source, const std::string& subject, Time now) {
  if (aside_.size() >= kMaxSubjects) {
    std::erase_if(aside_, [now](const auto& entry) {
      return std::all_of(entry.second.begin(), entry.second.end(),
                         [now](const auto& known) { return now >= known.second.until; });
    });
  }
  if (aside_.size() >= kMaxSubjects) aside_.clear();
  if (records_.size() >= kMaxSources && !records_.contains(source)) records_.clear();
  ++records_[source].set_aside;
  return aside_[subject][source];
}

Standing::Seconds Standing::set_aside(const std::string& source, const std::string& subject, Time now) {
  const std::lock_guard lock(mutex_);
  return sentence_for(source, subject, now).extend(now);
}

Standing::Verdict Standing::note_lie(const std::string& source, const std::string& subject, Time now) {
  const std::lock_guard lock(mutex_);
  Verdict verdict;
  verdict.aside = sentence_for(source, subject, now).extend(now);
  Record& record = records_[source];
  ++record.lies;
  std::erase_if(record.recent,
                [&](const auto& lie) { return lie.second == subject || now > lie.first + kMemory; });
  record.recent.emplace_back(now, subject);
  if (record.recent.size() < kLies) return verdict;
  record.recent.clear();
  verdict.last = record.last.extend(now);
  return verdict;
}

Standing::Trial::Trial(Standing& standing, std::string subject)
    : standing_(standing), subject_(std::move(subject)) {
  const std::lock_guard lock(standing_.mutex_);
  ++standing_.trials_[subject_];
}

Standing::Trial::~Trial() {
  const std::lock_guard lock(standing_.mutex_);
  const auto trial = standing_.trials_.find(subject_);
  if (--trial->second == 0) standing_.trials_.erase(trial);
}

bool Standing::is_on_trial(const std::string& subject) const {
  const std::lock_guard lock(mutex_);
  return trials_.contains(subject);
}

void Standing::forget() {
  const std::lock_guard lock(mutex_);
  aside_.clear();
  for (auto& [source, record] : records_) {  // what was counted stays
    record.recent.clear();
    record.last = {};
  }
}

std::vector<Standing::Count> Standing::counts() const {
  const std::lock_guard lock(mutex_);
  std::vector<Count> all;
  for (const auto& [source, record] : records_) all.push_back({source, record.lies, record.set_aside});
  return all;
}

}  // namespace entrepot::fill
