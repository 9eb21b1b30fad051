// Setting a step up: compiles the kernels of a graph, gives their tensors memory, binds them, and
// prepares what the host does between them.
#include <algorithm>
#include <set>
#include <utility>

#include "anemone/base/clock.h"
#include "anemone/base/error.h"
#include "anemone/train/step_runner_impl.h"

namespace anemone::train {
namespace {

// About as many stages as a layer's backward pass has: beside an engine, weight gradients of one
// layer are computed while it works on the next.
constexpr int kGradientsLag = 6;

std::unique_ptr<compute::ThreadPool> make_pool(int threads) {
  return std::make_unique<compute::ThreadPool>(threads > 0 ? threads
                                                           : compute::default_thread_count());
}

compute::ProductPrecision product_precision(engine::ProductPrecision precision) {
  return precision == engine::ProductPrecision::bf16 ? compute::ProductPrecision::bf16
                                                     : compute::ProductPrecision::full;
}

// The parameter an operation looks at, if it does.
Parameter* parameter_of(ParameterList& parameters, const nn::HostOp& op) {
  return op.parameter.empty() ? nullptr : &parameters.get(op.parameter);
}

}  // namespace

StepRunner::Impl::Impl(nn::StepGraph graph, engine::Engine& engine, engine::Engine& host_engine,
                       ParameterList& parameters, const RunnerOptions& options,
                       compute::ThreadPool* pool)
    : graph_(std::move(graph)),
      engine_(engine),
      host_engine_(host_engine),
      background_(!engine.traits().runs_on_host),
      own_pool_(pool != nullptr ? nullptr : make_pool(options.threads)),
      pool_(pool != nullptr ? *pool : *own_pool_),
      gradients_(parameters.gradients()),
      token_ops_(pool_, gradients_) {
  const Clock::time_point start = Clock::now();
  compile(parameters, options);
  compile_milliseconds_ = milliseconds_since(start);
  make_memory(options);
  weight_surfaces_ = WeightSurfaces(plan_, surfaces_, parameters);
  weight_surfaces_.write(pool_);
  make_stages();
  make_token_ops(parameters);
  make_gradient_work(parameters, options);
  share_scratch();
  bind_kernels();
  make_waits();
  make_parts();
}

void StepRunner::Impl::compile(ParameterList& parameters, const RunnerOptions& options) {
  std::vector<engine::CompileItem> together;  // on the engine
  std::vector<std::size_t> places;            // of their executables
  for (const nn::Kernel& kernel : graph_.kernels) {
    const mil::Function& function = kernel.program.main();
    engine::CompileOptions compile_options = options.compile;
    compile_options.name = kernel.name;
    compile_options.weights = &parameters.weights();
    if (kernel.host) compile_options.pack_io = false;
    has_weights_.push_back(uses_weights(function));
    executables_.emplace_back();
    if (on_host_engine(kernel)) {
      executables_.back() = host_engine_.compile(function, compile_options);
    } else {
      together.push_back({&function, compile_options});
      places.push_back(executables_.size() - 1);
    }
  }
  auto compiled = engine_.compile_together(together);
  for (std::size_t i = 0; i < places.size(); ++i) executables_[places[i]] = std::move(compiled[i]);
  count_compiles();
}

void StepRunner::Impl::count_compiles() {
  std::set<const void*> programs, updated;
  for (std::size_t kernel = 0; kernel < executables_.size(); ++kernel) {
    if (graph_.kernels[kernel].host) continue;
    programs.insert(executables_[kernel]->compiled_program());
    if (has_weights_[kernel]) updated.insert(executables_[kernel]->compiled_program());
  }
  compiles_ = static_cast<int>(programs.size());
  compiles_per_update_ = static_cast<int>(updated.size());
}

void StepRunner::Impl::make_memory(const RunnerOptions& options) {
  std::vector<KernelPorts> ports;
  for (std::size_t kernel = 0; kernel < executables_.size(); ++kernel) {
    const engine::Executable& executable = *executables_[kernel];
    ports.push_back({executable.inputs(), executable.outputs(), executable.input_buffers(),
                     executable.output_buffers(), on_host_engine(graph_.kernels[kernel])});
  }
  PlanOptions plan_options;
  plan_options.keep_all_tensors = options.keep_all_tensors;
  plan_options.gradients_lag = background_ ? kGradientsLag : 0;
  plan_ = plan_step(graph_, ports, plan_options);
  for (const PlannedSurface& planned : plan_.surfaces)
    surfaces_.push_back((planned.host ? host_engine_ : engine_).make_surface(planned.spec));
  if (graph_.host_ops.empty()) {
    input_ = make_host_copy(graph_.input);
    target_ = make_host_copy(graph_.target);
    if (plan_.tensors.count(graph_.loss) == 0) throw Error("the step computes no loss");
  }
}

void StepRunner::Impl::make_stages() {
  for (std::size_t call = 0; call < graph_.calls.size(); ++call) {
    Stage stage;
    stage.host = graph_.kernels[at(graph_.calls[call].kernel)].host;
    stages_.push_back(std::move(stage));
  }
  stages_.emplace_back();
  for (const PlannedCopy& copy : plan_.copies) {
    const engine::Port &from = copy.from.port, &to = copy.to.port;
    stages_[at(copy.call)].copies.push_back({plan_port_copy(from, to), copy.from.surface,
                                             copy.to.surface, from.offset_bytes, to.offset_bytes});
  }
}

// One thing runs at a time, but for products in the background.
void StepRunner::Impl::share_scratch() {
  std::size_t bytes = background_ ? 0 : work_->workspace_needed();
  for (const auto& executable : executables_) bytes = std::max(bytes, executable->scratch_bytes());
  shared_scratch_ = AlignedBuffer(bytes);
  const std::span<std::byte> memory = shared_scratch_.as<std::byte>();
  for (const auto& executable : executables_) executable->use_scratch(memory);
  work_->start(background_ ? std::span<std::byte>() : memory);
}

void StepRunner::Impl::bind_kernels() {
  for (std::size_t call = 0; call < graph_.calls.size(); ++call) {
    std::vector<engine::Surface*> inputs, outputs;
    for (const int index : plan_.input_surfaces[call]) inputs.push_back(&surface(index));
    for (const int index : plan_.output_surfaces[call]) outputs.push_back(&surface(index));
    stages_[call].binding = executables_[at(graph_.calls[call].kernel)]->bind(inputs, outputs);
  }
}

void StepRunner::Impl::make_parts() {
  parts_.push_back({StepPart::Kind::copies, "copies", 0, 0});
  if (!graph_.host_ops.empty()) parts_.push_back({StepPart::Kind::tokens, "tokens", 0, 0});
  first_call_part_ = parts_.size();
  for (const nn::Call& call : graph_.calls) {
    const nn::Kernel& kernel = graph_.kernels[at(call.kernel)];
    parts_.push_back({kernel.host ? StepPart::Kind::glue : StepPart::Kind::kernel, kernel.name,
                      program_flops(kernel.program.main()), 0});
  }
  first_job_part_ = parts_.size();
  for (int job = 0; job < work_->jobs(); ++job)
    parts_.push_back({StepPart::Kind::gradient, work_->name(job), work_->flops(job), 0});
}

StepRunner::Impl::HostCopy StepRunner::Impl::make_host_copy(const std::string& name) const {
  HostCopy input;
  const auto home = plan_.tensors.find(name);
  if (home == plan_.tensors.end()) return input;
  const engine::Port& port = home->second.port;
  input.plan = plan_write(port);
  input.surface = home->second.surface;
  input.offset = port.offset_bytes;
  input.elements = static_cast<std::size_t>(port.shape.elements());
  return input;
}

GradientWork::Source StepRunner::Impl::source_of(const std::string& tensor) {
  const auto home = plan_.tensors.find(tensor);
  if (home == plan_.tensors.end()) throw Error("no call writes " + tensor);
  return {&surface(home->second.surface), home->second.surface, home->second.port};
}

TokenOps::Tensor StepRunner::Impl::operand(const std::string& tensor) {
  const auto home = plan_.tensors.find(tensor);
  if (home == plan_.tensors.end()) return {};
  return {&surface(home->second.surface), home->second.port};
}

void StepRunner::Impl::make_token_ops(ParameterList& parameters) {
  for (const nn::HostOp& wanted : graph_.host_ops) {
    TokenOps::Op op;
    op.kind = wanted.kind;
    op.tensor = operand(wanted.tensor);
    op.log_sum = operand(wanted.log_sum);
    op.weight = operand(wanted.weight);
    op.first_row = wanted.first_row;
    if (const Parameter* parameter = parameter_of(parameters, wanted)) {
      op.values = parameter->value;
      op.gradient = parameter->gradient;
    }
    stages_[at(wanted.before_call)].ops.push_back(token_ops_.add(op));
  }
}

void StepRunner::Impl::make_gradient_work(ParameterList& parameters, const RunnerOptions& options) {
  if (background_) gradient_pool_ = make_pool(pool_.threads());
  work_ = std::make_unique<GradientWork>(background_ ? *gradient_pool_ : pool_,
                                         product_precision(options.compile.products), background_,
                                         gradients_);
  for (const nn::WeightGradient& product : graph_.weight_gradients) {
    const int job =
        work_->add_product(product.parameter, product.first_row, source_of(product.dy),
                           source_of(product.x), parameters.get(product.parameter).gradient);
    const int ready = std::max(stage_writing(graph_, product.dy), stage_writing(graph_, product.x));
    stages_[at(ready)].jobs.push_back(job);
  }
  for (const nn::DirectGradient& direct : graph_.direct_gradients) {
    const int job = work_->add_direct(direct.parameter, source_of(direct.tensor),
                                      parameters.get(direct.parameter).gradient);
    Stage& stage = stages_[at(stage_writing(graph_, direct.tensor))];
    stage.jobs.push_back(job);
    stage.directs.push_back(static_cast<int>(directs_.size()));
    const TensorHome& home = plan_.tensors.find(direct.tensor)->second;
    const auto elements = static_cast<std::size_t>(home.port.shape.elements());
    directs_.push_back(
        {{plan_read(home.port), home.surface, home.port.offset_bytes, elements}, direct.tensor});
    scratch_.resize(std::max(scratch_.size(), elements));
  }
}

// In the background a job may still read a surface, or add to a gradient, when a later stage or the
// next step comes to write there.
void StepRunner::Impl::make_waits() {
  const auto written = [&](int surface, std::vector<int>& waits) {
    for (int job = 0; job < work_->jobs(); ++job)
      if (work_->reads(job, surface)) waits.push_back(job);
  };
  const auto tensor_written = [&](const std::string& name, std::vector<int>& waits) {
    const auto home = plan_.tensors.find(name);
    if (home != plan_.tensors.end()) written(home->second.surface, waits);
  };
  for (std::size_t call = 0; call < graph_.calls.size(); ++call) {
    for (const int index : plan_.output_surfaces[call]) written(index, stages_[call].waits);
    for (const Copy& copy : stages_[call].copies) written(copy.to, stages_[call].waits);
  }
  for (const nn::HostOp& op : graph_.host_ops) {
    std::vector<int>& waits = stages_[at(op.before_call)].waits;
    if (op.kind == nn::HostOp::Kind::embedding_gradient) {
      for (int job = 0; job < work_->jobs(); ++job)
        if (work_->parameter(job) == op.parameter) waits.push_back(job);
    } else if (op.kind != nn::HostOp::Kind::pick_targets) {
      for (const std::string& name : {op.tensor, op.log_sum, op.weight})
        tensor_written(name, waits);
    }
  }
  if (!graph_.host_ops.empty()) return;
  for (const std::string& name : {graph_.input, graph_.target, graph_.loss_scale})
    tensor_written(name, input_waits_);
}

}  // namespace anemone::train
