// How a language model's step is put together: every tensor written before it is read, by a call or
// by the host, its parts of the vocabulary, and what waits between the two passes.
#include "anemone/nn/language_model.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "anemone/base/error.h"
#include "anemone/mil/verifier.h"
#include "anemone/nn/layer.h"

namespace anemone::test {
namespace {

using Kind = nn::HostOp::Kind;

nn::ModelConfig small_model() {
  nn::ModelConfig config;
  config.dim = 12;
  config.hidden = 20;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 6;
  config.layers = 2;
  config.seq = 7;
  config.vocab = 20000;  // three parts
  config.rope = nn::Rope::pairs;
  return config;
}

// Walks through a step as a runner does, and notes who writes and reads what.
class Walk {
 public:
  Walk(const nn::StepGraph& graph, const nn::ModelConfig& config) : graph_(graph) {
    activation_ = mil::Type::tensor(config.dtype, {1, config.dim, 1, config.seq});
    position_ = mil::Type::tensor(DType::fp32, {1, 1, 1, config.seq});
    for (const nn::ParameterSpec& spec : graph.parameters)
      weights_[spec.name] = spec.shape.elements();
    for (const nn::ParameterRows& rows : graph.parameter_rows)
      weights_[rows.name] = rows.count * config.dim;
    for (std::size_t index = 0; index <= graph.calls.size(); ++index) {
      for (const nn::HostOp& op : graph.host_ops) {
        if (op.before_call == static_cast<int>(index)) host(op);
      }
      if (index < graph.calls.size()) call(graph.calls[index]);
    }
  }

  const mil::Type& type(const std::string& name) const { return written_.at(name); }
  bool wrote(const std::string& name) const { return written_.count(name) != 0; }

 private:
  void write(const std::string& name, const mil::Type& type) {
    EXPECT_FALSE(name.empty());
    EXPECT_TRUE(written_.emplace(name, type).second) << name << " is written twice";
  }
  void expect_written(const std::string& name) {
    EXPECT_TRUE(written_.count(name)) << name << " is read before it is written";
  }

  void host(const nn::HostOp& op) {
    switch (op.kind) {
      case Kind::embed:
        return write(op.tensor, activation_);
      case Kind::pick_targets:
        expect_written(op.tensor);
        return expect_written(op.log_sum);
      case Kind::join_loss:
        write(op.log_sum, position_);
        return write(op.weight, position_);
      case Kind::subtract_targets:
        expect_written(op.tensor);
        expect_written(op.log_sum);
        return expect_written(op.weight);
      case Kind::embedding_gradient:
        return expect_written(op.tensor);
    }
  }

  void call(const nn::Call& call) {
    const nn::Kernel& kernel = graph_.kernels.at(static_cast<std::size_t>(call.kernel));
    const mil::Function& function = kernel.program.main();
    ASSERT_EQ(call.inputs.size(), function.inputs.size());
    ASSERT_EQ(call.outputs.size(), function.outputs.size());
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
      const std::string& name = call.inputs[i].global;
      if (const auto weight = weights_.find(name); weight != weights_.end()) {
        EXPECT_EQ(function.type(function.inputs[i]).shape.elements(), weight->second) << name;
        continue;
      }
      ASSERT_TRUE(wrote(name)) << kernel.name << " reads " << name;
      EXPECT_EQ(type(name), function.type(function.inputs[i])) << name;
    }
    for (std::size_t i = 0; i < call.outputs.size(); ++i)
      write(call.outputs[i].global, function.type(function.outputs[i]));
  }

  const nn::StepGraph& graph_;
  mil::Type activation_, position_;
  std::map<std::string, std::int64_t> weights_;
  std::map<std::string, mil::Type> written_;
};

TEST(LanguageModelStep, IsWiredWhole) {
  for (const nn::Partition& partition : nn::partitions()) {
    for (const DType dtype : {DType::fp16, DType::fp32}) {
      nn::ModelConfig config = small_model();
      config.dtype = dtype;
      const nn::StepGraph graph = nn::language_model_step(config, partition.name);
      for (const nn::Kernel& kernel : graph.kernels)
        EXPECT_NO_THROW(mil::verify_or_throw(kernel.program, kernel.name));
      const Walk walk(graph, config);
      EXPECT_TRUE(walk.wrote(graph.output) && walk.wrote(graph.input_gradient));

      std::map<std::string, std::int64_t> rows;  // of each parameter that have a gradient
      for (const nn::WeightGradient& gradient : graph.weight_gradients) {
        EXPECT_EQ(gradient.first_row, rows[gradient.parameter]);
        rows[gradient.parameter] += walk.type(gradient.dy).shape[1];
        EXPECT_EQ(walk.type(gradient.dy).shape[3], walk.type(gradient.x).shape[3]);
      }
      for (const nn::DirectGradient& gradient : graph.direct_gradients) {
        EXPECT_EQ(walk.type(gradient.tensor).dtype, DType::fp32) << gradient.tensor;
        rows[gradient.parameter] += walk.type(gradient.tensor).shape.elements();
      }
      for (const nn::ParameterSpec& spec : graph.parameters)
        EXPECT_EQ(rows[spec.name], spec.shape[0]) << spec.name;
    }
  }
}

std::vector<Kind> kinds(const nn::StepGraph& graph) {
  std::vector<Kind> list;
  for (const nn::HostOp& op : graph.host_ops) list.push_back(op.kind);
  return list;
}

TEST(LanguageModelStep, HostOperationsComeInOrder) {
  const nn::StepGraph graph = nn::language_model_step(small_model(), "six");
  const std::vector<Kind> expected = {Kind::embed,
                                      Kind::pick_targets,
                                      Kind::pick_targets,
                                      Kind::pick_targets,
                                      Kind::join_loss,
                                      Kind::subtract_targets,
                                      Kind::subtract_targets,
                                      Kind::subtract_targets,
                                      Kind::embedding_gradient};
  EXPECT_EQ(kinds(graph), expected);
  EXPECT_EQ(graph.host_ops.front().before_call, 0);
  EXPECT_EQ(graph.host_ops[4].before_call, graph.first_backward_call);
  EXPECT_EQ(graph.host_ops.back().before_call, static_cast<int>(graph.calls.size()));
  EXPECT_EQ(graph.host_ops.back().parameter, "embedding");
  EXPECT_EQ(graph.loss, "");
}

TEST(LanguageModelStep, ForwardIsItsBeginning) {
  const nn::StepGraph whole = nn::language_model_step(small_model(), "six");
  const nn::StepGraph forward = nn::language_model_forward(small_model(), "six");
  ASSERT_EQ(static_cast<int>(forward.calls.size()), whole.first_backward_call);
  EXPECT_EQ(forward.first_backward_call, whole.first_backward_call);
  for (std::size_t i = 0; i < forward.calls.size(); ++i) {
    const auto& ours = forward.kernels[static_cast<std::size_t>(forward.calls[i].kernel)];
    EXPECT_EQ(ours.name, whole.kernels[static_cast<std::size_t>(whole.calls[i].kernel)].name);
  }
  ASSERT_EQ(forward.host_ops.size(), 5U);
  EXPECT_EQ(forward.host_ops.back().kind, Kind::join_loss);
  EXPECT_EQ(forward.parameters.size(), whole.parameters.size());
  EXPECT_TRUE(forward.weight_gradients.empty());
}

int calls_of(const nn::StepGraph& graph, const std::string& kernel) {
  int count = 0;
  for (const nn::Call& call : graph.calls)
    count += graph.kernels[static_cast<std::size_t>(call.kernel)].name == kernel ? 1 : 0;
  return count;
}

TEST(LanguageModelStep, LogitsOfSeveralPartsAreComputedAgainInFp32Only) {
  nn::ModelConfig config = small_model();
  EXPECT_EQ(calls_of(nn::language_model_step(config, "six"), "logits1"), 1);
  config.dtype = DType::fp32;
  EXPECT_EQ(calls_of(nn::language_model_step(config, "six"), "logits1"), 2);
  EXPECT_EQ(calls_of(nn::language_model_forward(config, "six"), "logits1"), 1);
  config.vocab = 300;
  EXPECT_EQ(calls_of(nn::language_model_step(config, "six"), "logits0"), 1);
}

TEST(LanguageModelStep, TiedAndSeparateClassifiers) {
  nn::ModelConfig config = small_model();
  const nn::StepGraph tied = nn::language_model_step(config, "six");
  ASSERT_EQ(tied.parameter_rows.size(), 3U);
  EXPECT_EQ(tied.parameter_rows[1].name, "embedding.part1");
  EXPECT_EQ(tied.parameter_rows[1].parameter, "embedding");
  EXPECT_EQ(tied.parameter_rows[1].first, 6666);
  EXPECT_EQ(tied.parameter_rows[1].count, 6667);
  config.tied = false;
  const nn::StepGraph separate = nn::language_model_step(config, "six");
  EXPECT_EQ(separate.parameter_rows[1].name, "classifier.part1");
  EXPECT_EQ(separate.parameters.back().name, "classifier");
}

TEST(LanguageModelStep, DynamicTakesEveryWeightOfAnEngineKernelAsInput) {
  const nn::StepGraph graph = nn::language_model_step(small_model(), "dynamic");
  for (const nn::Kernel& kernel : graph.kernels) {
    if (kernel.host) continue;
    for (const mil::Operation& op : kernel.program.main().ops) {
      const bool is_weight = op.constant != nullptr && op.constant->weight() != nullptr;
      EXPECT_FALSE(is_weight) << kernel.name;
    }
  }
}

TEST(LanguageModelStep, NeedsAVocabulary) {
  nn::ModelConfig config = small_model();
  config.vocab = 0;
  try {
    nn::language_model_step(config, "six");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "model.vocab");
  }
  EXPECT_TRUE(nn::model_step(config, "six").host_ops.empty());
}

TEST(ModelKernels, AreTheEnginesOfTheStep) {
  for (const nn::Partition& partition : nn::partitions()) {
    const auto kernels = nn::model_kernels(small_model(), partition.name);
    std::set<std::string> ours, expected;
    for (const nn::Kernel& kernel : kernels) ours.insert(kernel.name);
    for (const nn::Kernel& kernel : nn::language_model_step(small_model(), partition.name).kernels)
      if (!kernel.host) expected.insert(kernel.name);
    EXPECT_EQ(ours, expected);
    EXPECT_EQ(ours.size(), kernels.size());
    EXPECT_EQ(kernels.back().name, "classifier_bwd2");
  }
}

}  // namespace
}  // namespace anemone::test
