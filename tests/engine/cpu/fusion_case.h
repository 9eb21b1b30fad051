// A program with random inputs for tests of fusions: built by hand, computed by the reference, by
// the cpu engine with all its fusions, and without any.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "anemone/base/element.h"
#include "anemone/engine/cpu/fusion/fusion.h"
#include "anemone/mil/builder.h"
#include "tests/engine/cpu/cpu_setups.h"
#include "tests/engine/oracle.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {

class FusionCase {
 public:
  explicit FusionCase(DType dtype = DType::fp16) : b(program_), dtype_(dtype) {}

  mil::Value input(const std::string& name, const Shape& shape, DType dtype) {
    std::uniform_real_distribution<double> uniform(-1, 1);
    std::vector<double>& values = inputs_[name];
    values.resize(static_cast<std::size_t>(shape.elements()));
    for (double& value : values) value = round_to(dtype, uniform(random_));
    return b.input(name, mil::Type::tensor(dtype, shape));
  }
  mil::Value input(const std::string& name, const Shape& shape) {
    return input(name, shape, dtype_);
  }

  mil::Value mask(std::int64_t size, double hidden) {
    std::vector<double> values;
    for (std::int64_t row = 0; row < size; ++row) {
      for (std::int64_t column = 0; column < size; ++column)
        values.push_back(column > row ? hidden : 0);
    }
    return b.constant(mil::Constant::numbers(dtype_, {1, 1, size, size}, values), "mask");
  }

  // Compares with the reference, fused and not; returns the explanation of the fused program.
  std::string check(const engine::CompileOptions& options = {}) {
    mil::ConstantSource constants(nullptr, options.model_directory);
    OracleOptions oracle;
    oracle.bf16_products = options.products == engine::ProductPrecision::bf16;
    const CpuExpected expected(program_.main(), inputs_, constants, oracle);
    for (const CpuSetup& setup : cpu_setups()) {
      expect_close(run_on_engine(*setup.engine, program_.main(), inputs_, options),
                   expected.of(setup), setup.name);
    }
    cpu::CpuEngineOptions plain;
    plain.engine.threads = 1;
    for (const cpu::Fusion* fusion : cpu::fusions())
      plain.disabled_fusions.emplace_back(fusion->name);
    const CpuSetup unfused{"not fused", cpu::make_engine(plain), plain.features.has(Isa::amx)};
    expect_close(run_on_engine(*unfused.engine, program_.main(), inputs_, options),
                 expected.of(unfused), unfused.name);
    return cpu_engine(isas_here().back(), 2)->compile(program_.main(), options)->explain();
  }

 private:
  mil::Program program_;
  mil::TensorMap<double> inputs_;
  std::mt19937 random_{1};

 public:
  mil::Builder b;

 private:
  DType dtype_;
};

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace anemone::test
