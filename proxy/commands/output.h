// What the commands print: sizes and times for people, JSON for machines, and how far a long command is.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace entrepot::commands {

using Json = nlohmann::ordered_json;

enum Exit : int { kGood = 0, kFindings = 1, kCouldNot = 2 };

std::string readable_size(uint64_t bytes);                   // "0 B", "1.5 KiB", "35.2 GiB"
std::string counted(uint64_t count, const char* one);        // "1 name", "2 names"
std::string readable_span(int64_t seconds);                  // "12 s", "3 min", "5 h", "8 d"
std::string readable_time(std::time_t when);                 // "2026-11-25 00:12:03Z"
std::string printable(std::string_view text);                // control characters as \xNN
void print_json(const Json& object);                         // one line to stdout
std::string text_of(const Json& object, const char* field);  // empty where there is none
uint64_t number_of(const Json& object, const char* field);   // 0 where there is none
int could_not(const std::string& why);                       // one line to stderr; kCouldNot
void warn(const std::string& line);

// A bar on a terminal, a line each ten seconds elsewhere; nothing where it is told to be silent. On stderr.
class Progress {
 public:
  enum class Unit : uint8_t { kBytes, kRecords };
  // `total`: 0 where nobody knows.
  Progress(std::string what, uint64_t total, bool silent, Unit unit = Unit::kBytes);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void at(uint64_t done);
  void clear();  // before another line is printed

 private:
  std::string amount(uint64_t of) const;
  std::string line(uint64_t done) const;

  const std::string what_;
  const uint64_t total_;
  const Unit unit_;
  const bool terminal_, silent_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point told_ = began_;
  bool shown_ = false;
};

}  // namespace entrepot::commands
