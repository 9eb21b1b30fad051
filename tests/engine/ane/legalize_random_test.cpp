// legalize on random programs: each is refused with a rule, or computes the same as before within
// the tolerances of the operations of both.
#include <gtest/gtest.h>

#include "anemone/base/error.h"
#include "anemone/engine/ane/legal_folder.h"
#include "anemone/mil/parser.h"
#include "anemone/mil/printer.h"
#include "anemone/mil/random_program.h"
#include "tests/engine/oracle.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {
namespace {

namespace ane = engine::ane;

// By the names of the original, whose ports are buffers of their own.
template <class T>
mil::TensorMap<T> renamed(const mil::TensorMap<T>& tensors,
                          const std::vector<ane::LegalPort>& ports,
                          const std::vector<ane::LegalBuffer>& buffers, bool to_legal) {
  mil::TensorMap<T> result;
  for (const ane::LegalPort& port : ports) {
    const std::string& legal = buffers[static_cast<std::size_t>(port.buffer)].name;
    if (to_legal) {
      result[legal] = tensors.at(port.name);
    } else {
      result[port.name] = tensors.at(legal);
    }
  }
  return result;
}

void compare(const mil::Program& program, const ane::LegalizedProgram& legal,
             const mil::TensorMap<double>& inputs, const std::string& what) {
  SCOPED_TRACE(mil::print(program) + legal.text);
  const TemporaryDirectory folder;
  mil::ConstantSource constants;
  const Status status = ane::write_model_folder(legal, constants, folder.path());
  ASSERT_TRUE(status.ok()) << status.message;
  const mil::Program loaded = mil::load_program(folder.path() / "model.mil");
  mil::ConstantSource files(nullptr, folder.path());
  const ane::LegalFunction& function = legal.functions.at(0);
  const Expected ours =
      expect(loaded.main(), renamed(inputs, function.inputs, function.input_buffers, true), files);

  Expected expected = expect(program.main(), inputs, constants);
  const auto tolerances =
      renamed(ours.tolerances, function.outputs, function.output_buffers, false);
  for (auto& [name, tolerance] : expected.tolerances)
    for (std::size_t i = 0; i < tolerance.size(); ++i) tolerance[i] += tolerances.at(name)[i];
  expect_close(renamed(ours.values, function.outputs, function.output_buffers, false), expected,
               what);
}

// Whether it was legalized.
bool check(mil::RandomProgram& random, const char* target, const std::string& what) {
  const mil::TensorMap<double> inputs = random.inputs();
  const mil::Program program = random.finish();
  ane::LegalizeOptions options;
  options.name = what;
  options.pack_io = false;
  try {
    const ane::LegalizedProgram legal = ane::legalize(program, ane::find_target(target), options);
    compare(program, legal, inputs, what + " for " + target);
    return true;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("(rule "), std::string::npos) << error.what();
    return false;
  }
}

TEST(LegalizeRandom, EachOperationAlone) {
  for (const mil::OpDef* def : mil::all_ops()) {
    if (def->kind == mil::OpKind::const_) continue;
    int legalized = 0;
    for (std::uint64_t seed = 0; seed < 40 && !HasFailure(); ++seed) {
      mil::RandomProgram::Options options;
      options.floats = {DType::fp16};
      mil::RandomProgram random(seed, options);
      ASSERT_TRUE(random.grow(def->kind)) << def->name;
      const std::string what = std::string(def->name) + ", seed " + std::to_string(seed);
      legalized += check(random, seed % 2 == 0 ? "m1" : "m4", what);
    }
    EXPECT_GT(legalized, 0) << def->name;
  }
}

TEST(LegalizeRandom, ProgramsOfManyOperations) {
  int legalized = 0;
  for (std::uint64_t seed = 0; seed < 300 && !HasFailure(); ++seed) {
    mil::RandomProgram::Options options;
    options.ops = 4 + static_cast<int>(seed % 12);
    options.floats = {DType::fp16};
    mil::RandomProgram random(5000 + seed, options);
    random.grow();
    legalized += check(random, seed % 2 == 0 ? "m1" : "m4", "seed " + std::to_string(5000 + seed));
  }
  EXPECT_GT(legalized, 30);
}

}  // namespace
}  // namespace anemone::test
