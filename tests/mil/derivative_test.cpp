// The complex evaluation of every operation, as the derivative it is used for, against central
// differences of the real one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "anemone/mil/evaluate.h"
#include "anemone/mil/random_program.h"

namespace anemone::mil {
namespace {

using Complex = std::complex<double>;

// Perturbs all float inputs at once, in a fixed random direction.
class Direction {
 public:
  Direction(const Function& function, const TensorMap<double>& inputs) {
    std::uint64_t state = 12345;
    for (const Value input : function.inputs) {
      const std::string& name = function.name_of(input);
      std::vector<double>& direction = directions_[name];
      for (std::size_t i = 0; i < inputs.at(name).size(); ++i) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        const double unit = static_cast<double>(state >> 40) / static_cast<double>(1 << 24);
        direction.push_back(is_float(function.type(input).dtype) ? unit - 0.5 : 0.0);
      }
    }
  }

  TensorMap<double> moved(const TensorMap<double>& inputs, double step) const {
    TensorMap<double> result = inputs;
    for (auto& [name, values] : result) {
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += step * directions_.at(name)[i];
    }
    return result;
  }

  TensorMap<Complex> perturbed(const TensorMap<double>& inputs, double step) const {
    TensorMap<Complex> result;
    for (const auto& [name, values] : inputs) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        result[name].emplace_back(values[i], step * directions_.at(name)[i]);
      }
    }
    return result;
  }

 private:
  TensorMap<double> directions_;
};

// A central difference D(h) = f' + c h² + …: two of them give f' by extrapolation, and their
// distance bounds what is left. Rounding adds what a sum of `kTerms` numbers may lose, over h.
void check_derivatives(const Function& function, const TensorMap<double>& inputs,
                       const std::string& what) {
  constexpr double kComplexStep = 1e-50, kStep = 1e-4, kTerms = 256;
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  const Direction direction(function, inputs);
  ConstantSource constants;
  const auto real = [&](double step) {
    return evaluate<double>(function, direction.moved(inputs, step), constants, {.round = false});
  };
  const auto value = real(0), ahead = real(kStep), behind = real(-kStep);
  const auto half_ahead = real(kStep / 2), half_behind = real(-kStep / 2);
  const auto complex =
      evaluate<Complex>(function, direction.perturbed(inputs, kComplexStep), constants);
  for (const auto& [name, values] : value) {
    double largest = RandomProgram::kLimit;
    for (const double v : values) largest = std::max(largest, std::abs(v));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Complex& z = complex.at(name)[i];
      ASSERT_NEAR(z.real(), values[i], kTerms * kEpsilon * largest)
          << what << " " << name << "[" << i << "]";
      const double whole = (ahead.at(name)[i] - behind.at(name)[i]) / (2 * kStep);
      const double half = (half_ahead.at(name)[i] - half_behind.at(name)[i]) / kStep;
      ASSERT_NEAR(z.imag() / kComplexStep, (4 * half - whole) / 3,
                  std::abs(half - whole) + kTerms * kEpsilon * largest / kStep)
          << what << " " << name << "[" << i << "]";
    }
  }
}

TEST(Derivatives, OfEveryOperation) {
  for (const OpDef* def : all_ops()) {
    if (def->sample == nullptr) continue;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      RandomProgram random(seed, {.floats = {DType::fp32}});
      random.grow(def->kind);
      const TensorMap<double> inputs = random.inputs();
      const Program program = random.finish();
      check_derivatives(program.main(), inputs,
                        std::string(def->name) + " seed " + std::to_string(seed));
    }
  }
}

}  // namespace
}  // namespace anemone::mil
