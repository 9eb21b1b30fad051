// Times generation at batch 1: tokens a second, and what share of the memory's bandwidth they use.
// Every weight is read once for a token, so that bandwidth is the limit.
#pragma once

#include <cstdint>
#include <string>

#include "anemone/train/run_config.h"

namespace anemone::train {

struct GenerateBench {
  std::string engine, precision, isa, cpu, build;
  int threads = 0;
  std::int64_t tokens = 0;  // timed, from the first position on
  double parameters = 0;    // of the model
  double ms_per_token = 0;  // median
  double ms_per_token_best = 0;
  double tokens_per_second = 0;      // by the median
  double weight_bytes = 0;           // packed: what every token reads
  double bytes_per_token = 0;        // with the caches, on average
  double read_bytes_per_second = 0;  // of the memory, the better of before and after
  double share = 0;                  // of that
  std::string explain;
};

// With the weights that a run of this config starts from. `tokens` is at most model.seq.
GenerateBench bench_generate(const RunConfig& config, std::int64_t tokens);

std::string to_text(const GenerateBench& bench);
std::string to_json(const GenerateBench& bench);

}  // namespace anemone::train
