// What /metrics says.
#pragma once

#include <string>

#include "proxy/edge.h"

namespace entrepot::admin {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// The edge's counters, the build, and this process's memory and descriptors, in Prometheus' text format.
// Thread-safe.
std::string metrics_text(const Edge& edge, const std::string& version);

}  // namespace entrepot::admin
