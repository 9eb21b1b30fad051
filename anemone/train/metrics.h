// metrics.jsonl: the log of record of a run, one JSON object a line; reports and plots are made
// from it. The schema is documented in docs/metrics.md and carries a version in its first line
// ({"type":"run", "version":1, …}).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "anemone/base/error.h"

namespace anemone::train {

constexpr int kMetricsVersion = 1;

// Where the time of a step went, in milliseconds.
struct StepTimes {
  double engine = 0;     // kernels
  double host_math = 0;  // glue that runs on the host's engine, copies between surfaces
  double dw = 0;         // weight-gradient products
  double optimizer = 0;  // update
  double compile = 0;    // new weights in the engine's form, or a compile
  double total = 0;      // wall
};

struct StepRecord {
  std::uint64_t step = 0;    // 0-based micro-step
  std::uint64_t update = 0;  // updates done before it
  double loss = 0;
  double loss_scale = 1;
  StepTimes times;
};

struct UpdateRecord {
  std::uint64_t update = 0;  // 0-based
  std::uint64_t step = 0;    // the last micro-step that went into it
  std::uint64_t accumulated = 0;
  double loss = 0;           // mean over its steps
  double grad_norm = 0;      // global, unscaled
  std::uint64_t tokens = 0;  // trained on so far, this update's included; 0 for layers alone
  double learning_rate = 0;
  double loss_scale = 1;
  std::string skipped;      // why the update was discarded; empty = applied
  bool non_finite = false;  // that is why
  StepTimes times;
};

class MetricsLog {
 public:
  // Opens for appending after cutting the file back to `offset` (0 for a new run: what was there is
  // kept aside as metrics.jsonl.old). Throws Error when the file is shorter than the offset, or has
  // no line that ends there.
  MetricsLog(std::filesystem::path path, std::uint64_t offset);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  // Each line is written at once, so that a reader sees whole lines; one that cannot be written
  // (a full disk) stays pending and is tried again with the next.
  void step(const StepRecord& record);
  void update(const UpdateRecord& record);
  void line(const std::string& json_object);  // anything else: run, validation, checkpoint, …

  // Gives up the lines behind `offset`, which must be the end of a line. Failure leaves them.
  Status cut_back(std::uint64_t offset);

  Status flush();                // to the file: fails while a line is pending
  Status sync();                 // to the disk too: call before saving a checkpoint
  std::uint64_t offset() const;  // where the next line begins, for the checkpoint

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t offset_ = 0;
  std::string pending_;
};

}  // namespace anemone::train
