// Uses the installed library the way another project would: a MIL program from text, run on the
// CPU.
#include <cmath>
#include <iostream>
#include <memory>
#include <vector>

#include "anemone/engine/engines.h"
#include "anemone/mil/parser.h"

constexpr char kProgram[] = R"(program(1.3)
{
  func main<ios18>(tensor<fp32, [1, 4]> x) {
    tensor<fp32, [1, 4]> y = softmax(axis = int32(-1), x = x)[name = string("y")];
  } -> (y);
})";

int main() try {
  using namespace anemone;
  const mil::Program program = mil::parse_program(kProgram, "softmax.mil");
  const auto engine = engine::make_engine("cpu", {});
  const auto executable = engine->compile(program.main(), {});

  const auto x = engine->make_surface(executable->input_buffers()[0]);
  const auto y = engine->make_surface(executable->output_buffers()[0]);
  engine::Surface* const inputs[] = {x.get()};
  engine::Surface* const outputs[] = {y.get()};
  const auto binding = executable->bind(inputs, outputs);

  const std::vector<float> values = {0, 1, 2, 3};
  engine::write_port(engine::HostAccess(*x, engine::Access::write).data(), executable->inputs()[0],
                     std::span<const float>(values));
  if (const Status status = binding->run(); !status.ok()) throw Error(status.message);
  std::vector<float> probabilities(4);
  engine::read_port(engine::HostAccess(*y, engine::Access::read).data(), executable->outputs()[0],
                    std::span<float>(probabilities));

  float sum = 0;
  for (const float p : probabilities) std::cout << p << ' ', sum += p;
  std::cout << '\n' << executable->explain();
  return std::abs(sum - 1) < 1e-6f && probabilities[3] > probabilities[2] ? 0 : 1;
} catch (const anemone::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
