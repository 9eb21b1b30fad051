// Times a step over a range of sizes: does time grow as the work does, and memory as the sequence
// does?
//
// One size varies at a time, the others stay a config's: the sequence from 128 to 4096 positions,
// the width from 256 to 4096 channels (the feed-forward block in proportion), each with heads of 64
// and of 128 channels.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "anemone/train/run_config.h"
#include "anemone/train/step_bench.h"

namespace anemone::train {

struct SweepSize {
  enum class Axis : std::uint8_t { seq, dim };
  Axis axis{};
  std::int64_t seq = 0, dim = 0, hidden = 0, head_dim = 0;
};

struct SweepPoint {
  SweepSize size;
  double milliseconds = 0;                          // a step, median
  std::int64_t steps = 0;                           // timed
  double gflop = 0;                                 // executed
  double share = 0;                                 // of the peak
  std::size_t tensors = 0, beyond = 0, packed = 0;  // bytes: as in BenchMemory
  std::string skipped;                              // why there are no numbers
};

// How much faster something grew than it should, at worst, from one point of a row to the next.
struct SweepGrowth {
  double worst = 0;      // 1: as it should
  SweepSize from, to;    // where
  std::string describe;  // "seq 1024 to 2048 (heads of 64)"
};

struct SweepBench {
  std::string engine, partition, precision, isa, cpu, build;
  int threads = 0;
  double peak_tflops = 0;
  std::vector<SweepPoint> points;
  SweepGrowth time;    // against executed FLOPs
  SweepGrowth memory;  // tensors and what is beyond them, against the sequence
};

// The sizes of a sweep around a model; `quick`: a few of them, for a minute on two cores.
std::vector<SweepSize> sweep_sizes(const nn::ModelConfig& model, bool quick);

// What the growth of points was. Skipped points, and neighbours in different rows, do not count.
SweepGrowth time_growth(const std::vector<SweepPoint>& points);
SweepGrowth memory_growth(const std::vector<SweepPoint>& points);

// `progress` is told which point comes, of how many, and the share of the work that is done.
SweepBench bench_sweep(const RunConfig& config, bool quick,
                       const std::function<void(const SweepSize&, std::size_t index, std::size_t of,
                                                double share)>& progress);

std::string to_text(const SweepBench& bench);
std::string to_json(const SweepBench& bench);

}  // namespace anemone::train
