// A compiled program is a vector of steps. A step is a call (function pointer and its plan, made
// when compiling) on operands that name storages; where a storage lies is known when surfaces are
// bound.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anemone/compute/thread_pool.h"

namespace anemone::cpu {

// A place in a storage.
struct Operand {
  int storage = -1;
  std::ptrdiff_t offset = 0;  // bytes
};

// What a call sees of a run.
struct Frame {
  compute::ThreadPool& pool;
  std::span<std::byte* const> storages;  // where each begins
  std::span<std::byte> workspace;        // of this step

  std::byte* at(const Operand& operand) const {
    return storages[static_cast<std::size_t>(operand.storage)] + operand.offset;
  }
};

// Owns a plan, any type with `void run(const Frame&) const`.
class Call {
 public:
  Call() = default;
  template <class Plan>
  explicit Call(Plan plan)
      : plan_(std::make_shared<const Plan>(std::move(plan))),
        run_([](const void* owned, const Frame& frame) {
          static_cast<const Plan*>(owned)->run(frame);
        }) {}

  void run(const Frame& frame) const { run_(plan_.get(), frame); }

 private:
  std::shared_ptr<const void> plan_;
  void (*run_)(const void* plan, const Frame& frame) = nullptr;
};

struct Step {
  Call call;
  std::size_t workspace_bytes = 0;
  std::vector<int> reads, writes;  // storages
  // (read, written): the result may lie exactly where this operand does.
  std::vector<std::pair<int, int>> in_place;
  double flops = 0;          // of matrix products, 2 per multiply-add
  double skipped_flops = 0;  // of those: what a triangle leaves out
  double bytes = 0;          // operands and results, each once
  bool reference = false;    // a reference evaluation

  // For explain() and profiles.
  std::string operation;              // "conv 'q'", "elementwise 'gate': sigmoid, mul, mul"
  std::string implementation;         // "gemm avx512 fp32 8x48, m=4 n=8 k=16"
  std::vector<std::string> refusals;  // "conv_gemm: weight is empty"
};

}  // namespace anemone::cpu
