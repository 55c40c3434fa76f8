#include "proxy/admin/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

namespace entrepot::admin {

namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily family(std::string name, std::string help, bool gauge, double value) {
  MetricFamily out;
  out.name = std::move(name);
  out.help = std::move(help);
  out.type = gauge ? MetricType::Gauge : MetricType::Counter;
  prometheus::ClientMetric& metric = out.metric.emplace_back();
  (gauge ? metric.gauge.value : metric.counter.value) = value;
  return out;
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total_pages = 0, resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return static_cast<double>(resident_pages) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_descriptors() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; !error && it != end;
       it.increment(error))
    ++count;
  return count > 0 ? count - 1 : 0;  // the directory itself
}

}  // namespace

std::string metrics_text(const Edge& edge, const std::string& version) {
  std::vector<MetricFamily> families;
  for (Edge::Counter& counter : edge.counters()) {
    MetricFamily one = family(std::move(counter.name), std::move(counter.help), counter.gauge, counter.value);
    for (auto& [name, value] : counter.labels)
      one.metric.front().label.push_back({std::move(name), std::move(value)});
    if (!families.empty() && families.back().name == one.name) {
      families.back().metric.push_back(std::move(one.metric.front()));
    } else {
      families.push_back(std::move(one));
    }
  }
  families.push_back(family("entrepot_ready", "Whether requests are taken.", true, edge.ready() ? 1 : 0));
  MetricFamily build = family("entrepot_build_info", "Which build this is.", true, 1);
  build.metric.front().label.push_back({"version", version});
  families.push_back(std::move(build));
  families.push_back(family("process_resident_memory_bytes", "Resident memory.", true, resident_bytes()));
  families.push_back(family("process_open_fds", "Open descriptors.", true, open_descriptors()));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace entrepot::admin
