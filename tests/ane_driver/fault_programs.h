// The small programs that fault tests put through the Neural Engine's driver, in the form it takes,
// with inputs and the results that the cpu engine computes for them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "anemone/engine/ane/driver/model.h"
#include "anemone/mil/ir.h"
#include "tests/support/temporary_directory.h"

namespace anemone::test {

using Values = std::vector<double>;

class FaultProgram {
 public:
  static constexpr int kVersions = 2;  // of the weights

  FaultProgram(std::string name, std::string text, const std::vector<std::string>& weight_files);

  const std::string& name() const { return name_; }
  // All tensors are declared in alphabetical order.
  bool in_order_by_name() const { return name_ != "out_of_order"; }
  bool has_weights() const { return !weight_files_.empty(); }
  const mil::Program& program() const { return program_; }
  engine::ane::ModelSource source(int version) const;
  // By function, then by tensor, in the program's order.
  const std::vector<std::vector<Values>>& inputs() const { return inputs_; }
  const std::vector<std::vector<Values>>& expected(int version) const { return expected_[version]; }

 private:
  void write_weights(int version);
  std::vector<Values> run_on_cpu(const mil::Function& function, const std::vector<Values>& inputs,
                                 int version) const;

  std::string name_, text_;
  std::vector<std::string> weight_files_;  // "w" for @model_path/weights/w.bin: fp16 [2, 2, 1, 1]
  mil::Program program_;
  TemporaryDirectory folders_[kVersions];
  std::vector<std::string> weights_[kVersions];  // contents of the files
  std::vector<std::vector<Values>> inputs_, expected_[kVersions];
};

// Weights; rows that need padding; several inputs and outputs out of alphabetical order; several
// functions.
const std::vector<std::unique_ptr<FaultProgram>>& fault_programs();

}  // namespace anemone::test
