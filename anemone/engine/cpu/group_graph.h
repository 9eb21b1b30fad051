// A function as groups of operations, each run as one step: what fusion works on. At first every
// operation is a group of its own; a fusion merges groups or rewires what they read.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "anemone/mil/constant_source.h"
#include "anemone/mil/ir.h"

namespace anemone::cpu {

struct Fusion;          // fusion/fusion.h
struct AttentionParts;  // fusion/attention_match.h

struct Group {
  const Fusion* fusion = nullptr;   // which pattern made it; null: a single operation
  std::vector<int> ops;             // indices into the function, ascending; empty: merged away
  std::vector<mil::Value> inputs;   // read from memory; no value twice
  std::vector<mil::Value> outputs;  // written to memory

  // Values read in place of what the operations name.
  std::vector<std::pair<mil::Value, mil::Value>> replaced;
  // Folded into a matrix product: result = alpha · product + residual.
  double alpha = 1;
  mil::Value residual;
  // Of which only the lower triangle of the last two dimensions counts: read as 0 above, or
  // unspecified there.
  std::vector<mil::Value> lower_triangular;
  std::shared_ptr<const AttentionParts> attention;  // what fusions of attention found
  // Why fusions left the group as it is, for explain.
  std::vector<std::string> refusals;

  bool merged_away() const { return ops.empty(); }
  int last_op() const { return ops.back(); }
};

class GroupGraph {
 public:
  // `source`: of constants that are not in the function itself.
  GroupGraph(const mil::Function& function, mil::ConstantSource& source);

  const mil::Function& function() const { return function_; }
  std::vector<Group>& groups() { return groups_; }
  const std::vector<Group>& groups() const { return groups_; }
  const Group& group(int index) const { return groups_[static_cast<std::size_t>(index)]; }
  Group& group(int index) { return groups_[static_cast<std::size_t>(index)]; }
  const mil::Operation& op(int index) const {
    return function_.ops[static_cast<std::size_t>(index)];
  }

  // The bytes of a constant that never changes (a weight does: none).
  std::span<const std::byte> constant_bytes(const mil::Constant& constant,
                                            std::vector<std::byte>& scratch) const;

  // The group that writes a value; -1 for inputs and constants.
  int producer(mil::Value value) const;
  // Groups that read a value from memory, ascending, each once.
  const std::vector<int>& readers(mil::Value value) const;
  bool is_output(mil::Value value) const {
    return is_output_[static_cast<std::size_t>(value.index)];
  }
  // `value` is read by `reader` only and is not an output of the function.
  bool only_reader(mil::Value value, int reader) const;

  // Would a step made of both groups have to run before and after some third group?
  bool merge_makes_cycle(int producer, int consumer) const;
  // Moves everything `producer` does into `consumer`. Values that nobody else reads are no longer
  // written.
  void merge(int producer, int consumer);
  // The same without taking it from other readers: `consumer` does it again for itself.
  void repeat_in(int producer, int consumer);
  // Would a step made of all these groups have to run before and after some other group?
  bool joining_makes_cycle(const std::vector<int>& members) const;
  // What group `index` reads and writes from now on.
  void set_operands(int index, const std::vector<mil::Value>& inputs,
                    const std::vector<mil::Value>& outputs);
  // Makes group `index` read `to` instead of `from`.
  void rewire(int index, mil::Value from, mil::Value to);
  void drop_input(int index, mil::Value value);

  // Indices of the groups that contribute to the function's outputs, in an order in which each
  // comes after what it reads; otherwise in program order.
  std::vector<int> schedule() const;

 private:
  void take_over(int producer, int consumer);
  void add_reader(mil::Value value, int group);
  void remove_reader(mil::Value value, int group);
  std::vector<char> live_groups() const;

  const mil::Function& function_;
  mil::ConstantSource& source_;
  std::vector<Group> groups_;
  std::vector<int> group_of_op_;
  std::vector<std::vector<int>> readers_;
  std::vector<char> is_output_;
};

}  // namespace anemone::cpu
