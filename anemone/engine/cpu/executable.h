// A compiled program and its runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "anemone/base/aligned_buffer.h"
#include "anemone/engine/cpu/compile.h"
#include "anemone/engine/engine.h"

namespace anemone::cpu {

class Executable final : public engine::Executable {
 public:
  struct Setup {
    std::shared_ptr<compute::ThreadPool> pool;
    CpuFeatures features;
    std::vector<std::string> disabled_fusions;
    bool profile = false;
  };

  Executable(const mil::Function& function, const engine::CompileOptions& options, Setup setup);

  std::unique_ptr<engine::Binding> bind(std::span<engine::Surface* const> inputs,
                                        std::span<engine::Surface* const> outputs) override;
  Status update_weights() override;
  std::string explain() const override;
  std::vector<engine::StepProfile> profile() const override;
  double executed_flops() const override;
  std::size_t scratch_bytes() const override { return program_.scratch.bytes; }
  void use_scratch(std::span<std::byte> memory) override;
  std::size_t constant_bytes() const override { return constants_.bytes(); }
  std::vector<engine::PackedWeight> packed_weights() const override {
    return constants_.packed_weights();
  }

 private:
  friend class Binding;

  void list_ports(const mil::Function& original, const engine::CompileOptions& options);
  // Where each storage begins; ports are filled in by the binding.
  std::vector<std::byte*> storages();
  void run(std::span<std::byte* const> storages);

  Setup setup_;
  std::string name_;
  mil::Function function_;  // after passes
  mil::ConstantSource source_;
  Constants constants_;
  Machine machine_;
  CompiledProgram program_;
  AlignedBuffer own_scratch_;  // where none was given before the first bind
  std::span<std::byte> scratch_;
  std::vector<double> seconds_;  // by step, when profiling
  std::int64_t runs_ = 0;
};

}  // namespace anemone::cpu
