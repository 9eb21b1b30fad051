// Each block's backward pass against the derivative of its forward pass: the complex step gives it
// to the last digits of a double. A block is a row of the table below.
//
// With outputs y and any weights dy, the derivative of sum(dy * y) by an input must be what
// backward says. Exactness is proved in double without rounding; then every engine runs the same
// backward programs in fp16 and fp32.
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <random>

#include "anemone/base/element.h"
#include "anemone/engine/engines.h"
#include "anemone/mil/evaluate.h"
#include "anemone/mil/verifier.h"
#include "anemone/nn/blocks.h"
#include "tests/support/step_evaluator.h"

namespace anemone::test {
namespace {

nn::ModelConfig attention_config() {
  nn::ModelConfig config;
  config.dim = 6;
  config.hidden = 8;
  config.heads = 2;
  config.head_dim = 3;
  config.seq = 5;
  config.resolve();
  return config;
}

struct Port {
  std::string name;
  Shape shape;
};

nn::ModelConfig rope_block_config(nn::Rope rope) {
  nn::ModelConfig config = attention_config();
  config.head_dim = 4;
  config.rope = rope;
  config.rope_theta = 7;  // no pair turns too slowly to be seen
  return config;
}

// Four query heads on two key heads.
nn::ModelConfig grouped_config() {
  nn::ModelConfig config = attention_config();
  config.heads = 4;
  config.kv_heads = 2;
  return config;
}

template <nn::ModelConfig (*config)()>
mil::Value forward_attention(mil::Builder& b, const std::vector<mil::Value>& in) {
  return nn::attention(b, config(), in[0], in[1], in[2]).out;
}

template <nn::ModelConfig (*config)()>
std::vector<mil::Value> backward_attention(mil::Builder& b, const std::vector<mil::Value>& in,
                                           mil::Value dy) {
  const auto first = nn::attention_backward_first(b, config(), dy, in[0], in[1], in[2]);
  const auto second =
      nn::attention_backward_second(b, config(), first.probs, first.dp, in[0], in[1]);
  return {second.dq, second.dk, first.dv};
}

template <nn::Rope rope>
mil::Value forward_rope(mil::Builder& b, const std::vector<mil::Value>& in) {
  const auto config = rope_block_config(rope);
  return nn::rope(b, config, in[0], nn::rope_table(b, config, b.dtype(in[0])));
}

template <nn::Rope rope>
std::vector<mil::Value> backward_rope(mil::Builder& b, const std::vector<mil::Value>& in,
                                      mil::Value dy) {
  const auto config = rope_block_config(rope);
  return {nn::rope_backward(b, config, dy, nn::rope_table(b, config, b.dtype(in[0])))};
}

// Both programs get `inputs`; backward also "dy", of the shape of forward's one output "y".
// Backward's output for input "x" is called "dx".
struct Block {
  std::string name;
  std::vector<Port> inputs;
  Shape output;
  mil::Value (*forward)(mil::Builder&, const std::vector<mil::Value>& inputs);
  // Gradients in the order of the inputs; invalid where the block has none.
  std::vector<mil::Value> (*backward)(mil::Builder&, const std::vector<mil::Value>& inputs,
                                      mil::Value dy);
};

std::vector<Block> blocks() {
  return {
      {"rms_norm",
       {{"x", {1, 6, 1, 5}}, {"w", {1, 6, 1, 1}}},
       {1, 6, 1, 5},
       [](mil::Builder& b, const auto& in) { return nn::rms_norm(b, in[0], in[1], 1e-2); },
       [](mil::Builder& b, const auto& in, mil::Value dy) {
         const auto grads = nn::rms_norm_backward(b, dy, in[0], in[1], 1e-2);
         return std::vector{grads.dx, grads.dw};
       }},
      {"attention",
       {{"q", {1, 6, 1, 5}}, {"k", {1, 6, 1, 5}}, {"v", {1, 6, 1, 5}}},
       {1, 6, 1, 5},
       forward_attention<attention_config>,
       backward_attention<attention_config>},
      {"grouped_attention",
       {{"q", {1, 12, 1, 5}}, {"k", {1, 6, 1, 5}}, {"v", {1, 6, 1, 5}}},
       {1, 12, 1, 5},
       forward_attention<grouped_config>,
       backward_attention<grouped_config>},
      {"rope_pairs",
       {{"x", {1, 12, 1, 5}}},
       {1, 12, 1, 5},
       forward_rope<nn::Rope::pairs>,
       backward_rope<nn::Rope::pairs>},
      {"rope_halves",
       {{"x", {1, 12, 1, 5}}},
       {1, 12, 1, 5},
       forward_rope<nn::Rope::halves>,
       backward_rope<nn::Rope::halves>},
      {"swiglu",
       {{"h1", {1, 4, 1, 5}}, {"h3", {1, 4, 1, 5}}},
       {1, 4, 1, 5},
       [](mil::Builder& b, const auto& in) { return nn::swiglu(b, in[0], in[1]); },
       [](mil::Builder& b, const auto& in, mil::Value dy) {
         const auto grads = nn::swiglu_backward(b, dy, in[0], in[1]);
         return std::vector{grads.dh1, grads.dh3};
       }},
      {"mse_loss",
       {{"prediction", {1, 3, 1, 5}}, {"target", {1, 3, 1, 5}}},
       {1, 1, 1, 1},
       [](mil::Builder& b, const auto& in) {
         return nn::mse_loss(b, in[0], in[1],
                             b.constant(mil::Constant::numbers(DType::fp32, {1, 1, 1, 1}, {{1.0}})))
             .loss;
       },
       [](mil::Builder& b, const auto& in, mil::Value dy) {
         return std::vector{nn::mse_loss(b, in[0], in[1], nn::as_type(b, dy, DType::fp32)).dy,
                            mil::Value{}};
       }},
      // Its derivative is softmax, whose log-sum a step has from the forward pass.
      {"log_sum_exp",
       {{"logits", {1, 7, 1, 5}}},
       {1, 1, 1, 5},
       [](mil::Builder& b, const auto& in) { return nn::log_sum_exp(b, in[0]); },
       [](mil::Builder& b, const auto& in, mil::Value dy) {
         const auto log_sum = nn::log_sum_exp(b, in[0]);
         return std::vector{
             nn::weighted_softmax(b, in[0], log_sum, nn::as_type(b, dy, DType::fp32))};
       }},
  };
}

void PrintTo(const Block& block, std::ostream* out) { *out << block.name; }

struct BlockPrograms {
  mil::Program forward, backward;
};

BlockPrograms build(const Block& block, DType dtype) {
  BlockPrograms programs;
  const auto declare = [&](mil::Builder& b) {
    std::vector<mil::Value> values;
    for (const Port& port : block.inputs)
      values.push_back(b.input(port.name, mil::Type::tensor(dtype, port.shape)));
    return values;
  };
  {
    mil::Builder b(programs.forward);
    const auto inputs = declare(b);
    b.output(block.forward(b, inputs), "y");
  }
  {
    mil::Builder b(programs.backward);
    const auto inputs = declare(b);
    const auto dy = b.input("dy", mil::Type::tensor(dtype, block.output));
    const auto gradients = block.backward(b, inputs, dy);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (gradients[i].valid()) b.output(gradients[i], "d" + block.inputs[i].name);
    }
  }
  mil::verify_or_throw(programs.forward, block.name);
  mil::verify_or_throw(programs.backward, block.name + "_backward");
  return programs;
}

// Exact in fp16, so that programs of any element type see the same numbers.
mil::TensorMap<double> random_inputs(const Block& block) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(-1.5, 1.5);
  mil::TensorMap<double> inputs;
  const auto fill = [&](const std::string& name, const Shape& shape) {
    std::vector<double>& values = inputs[name];
    values.resize(static_cast<std::size_t>(shape.elements()));
    for (double& value : values) value = round_to(DType::fp16, uniform(random));
  };
  for (const Port& port : block.inputs) fill(port.name, port.shape);
  fill("dy", block.output);
  return inputs;
}

// The derivative of sum(dy * y) by every element of `input`.
std::vector<double> derivative(const mil::Function& forward, const mil::TensorMap<double>& inputs,
                               const std::string& input) {
  mil::ConstantSource constants;
  auto values = convert<Complex>(inputs);
  values.erase("dy");
  const std::vector<double>& dy = inputs.at("dy");
  std::vector<double> result;
  for (std::size_t i = 0; i < inputs.at(input).size(); ++i) {
    Complex& element = values.at(input)[i];
    element.imag(kComplexStep);
    const auto outputs = mil::evaluate(forward, values, constants);
    element.imag(0);
    double sum = 0;
    for (std::size_t j = 0; j < dy.size(); ++j)
      sum += dy[j] * outputs.at("y")[j].imag() / kComplexStep;
    result.push_back(sum);
  }
  return result;
}

class BlockGradient : public testing::TestWithParam<Block> {};

TEST_P(BlockGradient, EqualsTheDerivative) {
  const Block& block = GetParam();
  const BlockPrograms programs = build(block, DType::fp32);
  const auto inputs = random_inputs(block);
  mil::ConstantSource constants;
  const auto gradients =
      mil::evaluate(programs.backward.main(), inputs, constants, {.round = false});

  const int operations =
      count_operations(programs.forward.main()) + count_operations(programs.backward.main());
  const double terms = static_cast<double>(inputs.at(block.inputs[0].name).size());
  for (const auto& [name, gradient] : gradients) {
    const auto expected = derivative(programs.forward.main(), inputs, name.substr(1));
    const double tolerance = operations * terms * std::ldexp(1, -53) * norm(expected);
    EXPECT_GT(norm(expected), 0) << name;
    EXPECT_LE(distance(gradient, expected), tolerance) << block.name << " " << name;
  }
}

TEST_P(BlockGradient, HoldsOnEveryEngine) {
  const Block& block = GetParam();
  const auto inputs = random_inputs(block);
  for (const DType dtype : {DType::fp16, DType::fp32}) {
    const BlockPrograms programs = build(block, dtype);
    mil::ConstantSource constants;
    const auto exact = mil::evaluate(programs.backward.main(), inputs, constants, {.round = false});
    for (const engine::EngineEntry& entry : engine::engines()) {
      if (!entry.support().ok) continue;
      const auto engine = entry.make({});
      const auto gradients = run_on_engine(*engine, programs.backward.main(), inputs, {});
      for (const auto& [name, gradient] : gradients) {
        const double tolerance =
            rounding(count_operations(programs.backward.main()), 6, dtype) * norm(exact.at(name));
        EXPECT_LE(distance(gradient, exact.at(name)), tolerance)
            << block.name << " " << name << " on " << entry.name << " in " << dtype_name(dtype);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, BlockGradient, testing::ValuesIn(blocks()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace anemone::test
