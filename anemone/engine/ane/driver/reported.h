// What a loaded model says about itself (its modelAttributes), as plain values. Every part may be
// missing: the format is not documented.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/engine/ane/driver/framework.h"

namespace anemone::engine::ane {

// A tensor of a network: an entry of its LiveInputList or LiveOutputList. 0: not reported.
struct ReportedTensor {
  std::string name, symbol;
  std::string type;  // "Float16"
  std::int64_t batches = 0, channels = 0, height = 0, width = 0, depth = 0, interleave = 0;
  std::int64_t row_stride = 0, plane_stride = 0, batch_stride = 0;  // bytes
};

struct ReportedNetwork {
  std::string name;
  std::vector<ReportedTensor> inputs, outputs;
};

struct ReportedProcedure {
  std::int64_t id = 0;
  std::vector<std::int64_t> inputs, outputs;  // symbol indices
};

struct Reported {
  std::vector<ReportedNetwork> networks;  // one a function
  std::vector<ReportedProcedure> procedures;
  std::map<std::string, std::int64_t> procedure_ids;       // function → id
  std::vector<std::string> input_symbols, output_symbols;  // of all functions
};

// nil or another class gives an empty Reported.
Reported read_reported(const Framework& f, Id attributes);

}  // namespace anemone::engine::ane
