#include "resolver/http_date.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "resolver/text.h"

namespace entrepot::resolver {

namespace {

constexpr std::array<std::string_view, 7> kDays{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Consumes from the front; the first thing that does not fit makes everything after it fail too.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void literal(std::string_view expected) {
    if (!rest_.starts_with(expected)) return fail();
    rest_.remove_prefix(expected.size());
  }
  int digits(size_t count) {
    if (rest_.size() < count || !std::all_of(rest_.begin(), rest_.begin() + count, is_digit)) {
      fail();
      return 0;
    }
    int value = 0;
    for (size_t i = 0; i < count; ++i) value = value * 10 + (rest_[i] - '0');
    rest_.remove_prefix(count);
    return value;
  }
  void short_day() { one_of(kDays, 3); }
  void long_day() { one_of(kDays, std::string_view::npos); }
  unsigned month() { return one_of(kMonths, 3) + 1; }
  bool starts_with(char c) const { return rest_.starts_with(c); }
  bool finished() const { return !failed_ && rest_.empty(); }

 private:
  template <size_t N>
  unsigned one_of(const std::array<std::string_view, N>& words, size_t length) {
    for (size_t i = 0; i < N; ++i) {
      if (!rest_.starts_with(words[i].substr(0, length))) continue;
      rest_.remove_prefix(std::min(length, words[i].size()));
      return static_cast<unsigned>(i);
    }
    fail();
    return 0;
  }
  void fail() {
    failed_ = true;
    rest_ = {};
  }
  std::string_view rest_;
  bool failed_ = false;
};

struct Parts {
  int year = 0, day = 0, hour = 0, minute = 0, second = 0;
  unsigned month = 0;
};

void read_time(Scanner& in, Parts& parts) {
  parts.hour = in.digits(2);
  in.literal(":");
  parts.minute = in.digits(2);
  in.literal(":");
  parts.second = in.digits(2);
}

// Second 60 is a leap second.
std::optional<std::time_t> to_time(const Parts& parts) {
  using namespace std::chrono;
  const year_month_day date{year(parts.year), month(parts.month), day(static_cast<unsigned>(parts.day))};
  if (!date.ok() || parts.hour > 23 || parts.minute > 59 || parts.second > 60) return std::nullopt;
  const auto days = sys_days(date).time_since_epoch().count();
  return std::time_t{days} * 86400 + parts.hour * 3600 + parts.minute * 60 + parts.second;
}

std::optional<std::time_t> parse_imf(std::string_view text) {
  Scanner in(text);
  Parts parts;
  in.short_day();
  in.literal(", ");
  parts.day = in.digits(2);
  in.literal(" ");
  parts.month = in.month();
  in.literal(" ");
  parts.year = in.digits(4);
  in.literal(" ");
  read_time(in, parts);
  in.literal(" GMT");
  return in.finished() ? to_time(parts) : std::nullopt;
}

// The latest year with these two digits in which the date exists and is not more than 50 years ahead.
std::optional<std::time_t> in_likely_century(Parts parts, std::time_t now) {
  constexpr std::time_t kFiftyYears = 50 * std::time_t{31556952};
  using namespace std::chrono;
  const year_month_day today(floor<days>(sys_seconds(seconds(now))));
  const int century = static_cast<int>(today.year()) / 100 * 100;
  for (const int base : {century + 100, century, century - 100}) {
    Parts candidate = parts;
    candidate.year += base;
    const auto time = to_time(candidate);
    if (time && *time <= now + kFiftyYears) return time;
  }
  return std::nullopt;
}

std::optional<std::time_t> parse_rfc850(std::string_view text, std::time_t now) {
  Scanner in(text);
  Parts parts;
  in.long_day();
  in.literal(", ");
  parts.day = in.digits(2);
  in.literal("-");
  parts.month = in.month();
  in.literal("-");
  parts.year = in.digits(2);
  in.literal(" ");
  read_time(in, parts);
  in.literal(" GMT");
  return in.finished() ? in_likely_century(parts, now) : std::nullopt;
}

std::optional<std::time_t> parse_asctime(std::string_view text) {
  Scanner in(text);
  Parts parts;
  in.short_day();
  in.literal(" ");
  parts.month = in.month();
  in.literal(" ");
  if (in.starts_with(' ')) {
    in.literal(" ");
    parts.day = in.digits(1);
  } else {
    parts.day = in.digits(2);
  }
  in.literal(" ");
  read_time(in, parts);
  in.literal(" ");
  parts.year = in.digits(4);
  return in.finished() ? to_time(parts) : std::nullopt;
}

}  // namespace

std::optional<std::time_t> parse_http_date(std::string_view text, std::time_t now) noexcept {
  if (text.size() < 4) return std::nullopt;
  if (text[3] == ',') return parse_imf(text);
  if (text[3] == ' ') return parse_asctime(text);
  return parse_rfc850(text, now);
}

std::optional<std::time_t> parse_http_date(std::string_view text) noexcept {
  const bool two_digit_year = text.size() >= 4 && text[3] != ',' && text[3] != ' ';
  return parse_http_date(text, two_digit_year ? std::time(nullptr) : 0);
}

std::string format_http_date(std::time_t time) {
  constexpr std::time_t kEndOfYear9999 = 253402300799;
  time = std::clamp<std::time_t>(time, 0, kEndOfYear9999);
  using namespace std::chrono;
  const sys_days date = floor<days>(sys_seconds(seconds(time)));
  const year_month_day ymd(date);
  const auto of_day = static_cast<unsigned>(time % 86400);

  std::string text = "Sun, 00 Jan 0000 00:00:00 GMT";
  const auto put = [&text](size_t at, unsigned value, size_t width) {
    for (size_t i = width; i-- > 0; value /= 10) text[at + i] = static_cast<char>('0' + value % 10);
  };
  kDays[weekday(date).c_encoding()].copy(text.data(), 3);
  put(5, static_cast<unsigned>(ymd.day()), 2);
  kMonths[static_cast<unsigned>(ymd.month()) - 1].copy(text.data() + 8, 3);
  put(12, static_cast<unsigned>(static_cast<int>(ymd.year())), 4);
  put(17, of_day / 3600, 2);
  put(20, of_day / 60 % 60, 2);
  put(23, of_day % 60, 2);
  return text;
}

}  // namespace entrepot::resolver
