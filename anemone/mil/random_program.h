// Grows random valid programs, for tests that compare two ways of running them.
//
// Every operation's definition says how to draw an application of it (OpDef::sample). The program
// is evaluated while it grows, so that operands can be chosen by their values (no square root of a
// negative number, nothing that overflows): it comes with inputs for which it is well behaved. The
// same seed gives the same program everywhere.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "anemone/mil/builder.h"
#include "anemone/mil/evaluate.h"
#include "anemone/mil/op_def.h"

namespace anemone::mil {

class RandomProgram {
 public:
  struct Options {
    int ops = 12;
    std::int64_t max_dim = 6;
    TypeSet floats = kFloats;  // element types of new float tensors
  };

  explicit RandomProgram(std::uint64_t seed, const Options& options);
  explicit RandomProgram(std::uint64_t seed) : RandomProgram(seed, Options()) {}

  // Grows by options.ops random operations, or by one of a kind (false if it is never drawn).
  void grow();
  bool grow(OpKind kind);
  // Makes everything that nothing reads an output. Call once; then the program is complete.
  Program finish();
  const TensorMap<double>& inputs() const { return inputs_; }

  // For OpDef::sample.

  std::int64_t integer(std::int64_t low, std::int64_t high);  // both included
  bool chance(double probability);
  double real(double low, double high);
  DType float_type();
  Shape shape(int min_rank, int max_rank);
  std::vector<std::int64_t> subset(
      int rank);  // of the axes, in random order, some counted from the end
  std::vector<std::int64_t> permutation(int rank);

  // A value: one that exists, or a new input or constant, with all elements in [low, high].
  Value value(TypeSet types, int min_rank = 0, int max_rank = 4, double low = -kLimit,
              double high = kLimit);
  // Likewise, of a given type.
  Value value_of(const Type& type, double low = -kLimit, double high = kLimit);
  // A value that broadcasts against `other`, of its element type.
  Value partner(Value other, double low = -kLimit, double high = kLimit);
  Value fresh(const Type& type, double low, double high);

  const Type& type(Value value) const { return builder_.type(value); }
  const Shape& shape_of(Value value) const { return builder_.shape(value); }
  double low(Value value) const;
  double high(Value value) const;
  // Whether two correct engines agree on the value's every bit, so that a step function may be
  // applied to it.
  bool is_exact(Value value) const { return facts_[at(value)].exact; }

  bool emit(OpKind kind, std::vector<Builder::Argument> arguments);  // true

  static constexpr double kLimit = 16;  // values beyond are scaled down before they are used again

 private:
  struct Facts {
    std::vector<double> data;  // empty: strings
    bool exact = true;
    bool used = false;
    bool reusable = true;
  };
  static std::size_t at(Value value) { return static_cast<std::size_t>(value.index); }
  bool fits(Value value, TypeSet types, int min_rank, int max_rank, double low, double high) const;
  void evaluate_new_ops();
  void evaluate_one(const Operation& op);
  void settle(Value result);

  Options options_;
  std::mt19937_64 engine_;
  Program program_;
  Builder builder_;
  std::vector<Facts> facts_;
  std::size_t evaluated_ = 0;  // operations
  TensorMap<double> inputs_;
};

}  // namespace anemone::mil
