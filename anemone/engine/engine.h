// The interface between a program and what runs it. Virtual at program level only: below it an
// engine decides everything while compiling, so that run() is straight-line calls and allocates
// nothing.
//
//   auto engine = make_engine("cpu", {});
//   auto exe = engine->compile(program.main(), options);
//   … make a surface for each of exe->input_buffers() and exe->output_buffers() …
//   auto binding = exe->bind(inputs, outputs);
//   Status status = binding->run();
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/engine/surface.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/ir.h"

namespace anemone::compute {
class ThreadPool;
}

namespace anemone::engine {

// Can an engine take it, and if not, why not.
struct Support {
  bool ok = true;
  std::string reason;
  bool expected = false;  // this kind of machine usually can: going without it is worth a message
};

struct EngineTraits {
  int compile_limit = 0;     // compiles per process; 0 = any number
  bool packed_io = false;    // wants one input and one output (compile applies pack_io by itself)
  bool runs_on_host = true;  // shares the host's cores: background work beside it gains nothing
  bool update_recompiles = false;  // update_weights costs a compile
  std::string default_partition = "merged";
};

// How products of fp16 operands are computed.
enum class ProductPrecision : std::uint8_t {
  operands,  // the operands themselves, accumulated in fp32
  bf16,      // operands rounded to bf16 first, accumulated in fp32: faster on some machines
};

struct EngineOptions {
  static constexpr int kMostThreads = 4096;

  int threads = 0;              // 0 = what affinity and cgroup allow; at most kMostThreads
  bool profile = false;         // take the time of every step, for Executable::profile
  std::string target;           // which machine to compile for; empty = this one (engines that can)
  bool multi_function = false;  // compile_together puts several functions into one program
  // How numbers behave: "exact", or what a device makes of them (numerics.h). The reference engine
  // emulates any; its traits are then those of the device.
  std::string numerics = "exact";
};

struct CompileOptions {
  std::string name = "program";  // for messages, explain and files
  const mil::WeightStore* weights = nullptr;
  std::filesystem::path model_directory;  // where @model_path points
  ProductPrecision products = ProductPrecision::operands;
  bool pack_io = false;  // force packed_io on an engine that does not want it
};

// One of several functions to be compiled together.
struct CompileItem {
  const mil::Function* function = nullptr;
  CompileOptions options;
};

// The time a step of a program took in all runs so far.
struct StepProfile {
  std::string step;  // as in explain()
  std::int64_t runs = 0;
  double seconds = 0;
  double flops = 0;  // of one run, in matrix products: 2 per multiply-add
  double bytes = 0;  // of one run: what is read and written, each once
};

// A program bound to surfaces.
class Binding {
 public:
  virtual ~Binding() = default;
  virtual Status run() = 0;  // blocks until the outputs are written
};

// A weight in an engine's own form.
struct PackedWeight {
  std::string name;  // in the WeightStore
  std::size_t bytes = 0;
};

class Executable {
 public:
  virtual ~Executable() = default;

  // Named tensors in the function's order, and the buffers they lie in.
  const std::vector<Port>& inputs() const { return inputs_; }
  const std::vector<Port>& outputs() const { return outputs_; }
  const std::vector<BufferSpec>& input_buffers() const { return input_buffers_; }
  const std::vector<BufferSpec>& output_buffers() const { return output_buffers_; }

  // One surface per buffer, in order, at least as large; they must outlive the binding. The
  // executable too. Bindings of one executable share its scratch memory: one run at a time.
  virtual std::unique_ptr<Binding> bind(std::span<Surface* const> inputs,
                                        std::span<Surface* const> outputs) = 0;

  // Takes the present values of the WeightStore given to compile.
  virtual Status update_weights() = 0;

  // The compiled program that this is a function of. update_weights of one updates all functions of
  // its program.
  virtual const void* compiled_program() const { return this; }

  // One line per step: the op or fused group, the implementation chosen, why better ones refused.
  virtual std::string explain() const = 0;

  // One entry per step, of engines that can (EngineOptions::profile); empty otherwise.
  virtual std::vector<StepProfile> profile() const { return {}; }

  // Of one run, in matrix products, without what is skipped (the masked half of causal attention);
  // negative where the engine does not say.
  virtual double executed_flops() const { return -1; }

  virtual std::size_t scratch_bytes() const { return 0; }  // intermediate values
  // Memory for these in place of its own: called before the first bind, with as many bytes at
  // least, aligned as an AlignedBuffer; it must outlive the executable's last run. Executables that
  // share it must not run at the same time.
  virtual void use_scratch(std::span<std::byte>) {}
  virtual std::size_t constant_bytes() const {
    return 0;
  }  // weights and constants in the engine's own form
  // Of these, the weights arranged for products: one entry per form of each.
  virtual std::vector<PackedWeight> packed_weights() const { return {}; }

 protected:
  std::vector<Port> inputs_, outputs_;
  std::vector<BufferSpec> input_buffers_, output_buffers_;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const = 0;
  virtual const EngineTraits& traits() const = 0;
  virtual Support supports(const mil::Function& function) const = 0;
  // Can it compile as these options ask (numerics)? compile throws Error otherwise.
  virtual Support supports_options(const CompileOptions&) const { return {}; }
  // Throws Error when the program is unsupported or its constants cannot be found.
  virtual std::unique_ptr<Executable> compile(const mil::Function& function,
                                              const CompileOptions& options) = 0;
  // The same for several, in as few programs as the engine can and may; one by one otherwise.
  virtual std::vector<std::unique_ptr<Executable>> compile_together(
      std::span<const CompileItem> items) {
    std::vector<std::unique_ptr<Executable>> executables;
    for (const CompileItem& item : items)
      executables.push_back(compile(*item.function, item.options));
    return executables;
  }
  virtual std::unique_ptr<Surface> make_surface(const BufferSpec& spec) = 0;
  // The threads of an engine that computes on this host, for the host's own work between two runs:
  // a second set would wait for processors that the first still holds. Null where it has none.
  virtual std::shared_ptr<compute::ThreadPool> host_threads() const { return nullptr; }
  // How many of traits().compile_limit are used, tries that failed included; negative where the
  // engine does not count, and every program compiled is one.
  virtual int compiles_used() const { return -1; }
};

}  // namespace anemone::engine
