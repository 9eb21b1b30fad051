// One training step as a straight line: host writes, then for each call its copies, the program,
// and the weight gradients that became possible.
#include "anemone/train/step_runner.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/compute/copy.h"
#include "anemone/compute/thread_pool.h"
#include "anemone/train/gradient_work.h"
#include "anemone/train/weight_surfaces.h"

namespace anemone::train {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_between(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - start).count();
}
double milliseconds_since(Clock::time_point start) {
  return milliseconds_between(start, Clock::now());
}

std::size_t at(int index) { return static_cast<std::size_t>(index); }

std::unique_ptr<compute::ThreadPool> make_pool(int threads) {
  return std::make_unique<compute::ThreadPool>(threads > 0 ? threads
                                                           : compute::default_thread_count());
}

compute::ProductPrecision product_precision(engine::ProductPrecision precision) {
  return precision == engine::ProductPrecision::bf16 ? compute::ProductPrecision::bf16
                                                     : compute::ProductPrecision::full;
}

}  // namespace

class StepRunner::Impl {
 public:
  Impl(nn::StepGraph graph, engine::Engine& engine, engine::Engine& host_engine,
       ParameterList& parameters, const RunnerOptions& options, compute::ThreadPool* pool)
      : graph_(std::move(graph)),
        engine_(engine),
        host_engine_(host_engine),
        background_(!engine.traits().runs_on_host),
        own_pool_(pool != nullptr ? nullptr : make_pool(options.threads)),
        pool_(pool != nullptr ? *pool : *own_pool_) {
    const Clock::time_point start = Clock::now();
    compile(parameters, options);
    compile_milliseconds_ = milliseconds_since(start);
    make_memory();
    weight_surfaces_ = WeightSurfaces(plan_, surfaces_, parameters);
    weight_surfaces_.write(pool_);
    make_gradient_work(parameters, options);
    make_waits();
  }

  StepResult run(const Sample& sample, double loss_scale, bool accumulate);
  Status finish_gradients() {
    work_->wait_all();
    return work_->status();
  }
  Status update_weights(double& milliseconds);
  std::string first_non_finite();
  std::vector<double> tensor(std::string_view name);
  std::span<const StepPart> parts();
  double executed_flops() const;
  std::string explain() const;

  int compiles_per_update() const { return compiles_per_update_; }
  int compiles() const {
    const int used = engine_.compiles_used();
    return used >= 0 ? used : compiles_;
  }
  double compile_milliseconds() const { return compile_milliseconds_; }
  const StepPlan& plan() const { return plan_; }
  std::size_t engine_bytes() const {
    std::size_t sum = 0;
    for (const auto& executable : executables_)
      sum += executable->scratch_bytes() + executable->constant_bytes();
    return sum;
  }

 private:
  struct Copy {
    compute::CopyPlan plan;
    int from, to;  // surfaces
    std::size_t from_offset, to_offset;
  };
  // Between a tensor of the step and a row-major fp32 array of the host.
  struct HostCopy {
    compute::CopyPlan plan;
    int surface = -1;  // -1: no call reads it
    std::size_t offset = 0, elements = 0;
  };
  // What happens at one call, in this order.
  struct Stage {
    std::vector<int> waits;  // jobs that read what is overwritten here
    std::vector<Copy> copies;
    std::unique_ptr<engine::Binding> binding;
    std::vector<int> jobs;  // weight gradients that can be computed now
    bool host = false;
  };

  bool on_host_engine(const nn::Kernel& kernel) const { return kernel.host && background_; }
  void compile(ParameterList& parameters, const RunnerOptions& options);
  void count_compiles();
  void make_memory();
  void make_stages();
  HostCopy make_host_copy(const std::string& name) const;
  void make_gradient_work(ParameterList& parameters, const RunnerOptions& options);
  void make_waits();
  GradientWork::Source source_of(const std::string& tensor);
  int call_writing(const std::string& tensor) const;
  engine::Surface& surface(int index) { return *surfaces_[at(index)]; }

  void write_input(const HostCopy& input, std::span<const float> values);
  void write_loss_scale(double loss_scale);
  Status run_stage(std::size_t call, bool accumulate, StepTimes& times);
  void wait_for(const std::vector<int>& jobs, StepTimes& times);
  double read_loss();
  bool direct_gradients_finite();

  nn::StepGraph graph_;
  engine::Engine& engine_;
  engine::Engine& host_engine_;
  bool background_;
  std::unique_ptr<compute::ThreadPool> own_pool_;
  compute::ThreadPool& pool_;
  std::unique_ptr<compute::ThreadPool> gradient_pool_;  // background only
  std::vector<std::unique_ptr<engine::Executable>> executables_;
  std::vector<bool> has_weights_;
  int compiles_per_update_ = 0, compiles_ = 0;
  double compile_milliseconds_ = 0;
  StepPlan plan_;
  std::vector<std::unique_ptr<engine::Surface>> surfaces_;
  WeightSurfaces weight_surfaces_;
  std::vector<Stage> stages_;
  HostCopy input_, target_;
  std::vector<int> input_waits_;  // jobs that read what the host writes before a step
  std::unique_ptr<GradientWork> work_;
  std::vector<HostCopy> direct_;  // the direct gradients
  std::vector<float> scratch_;
  std::vector<StepPart> parts_;  // copies, then one a call, then one a job
  Clock::time_point began_{};    // the last step
};

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

void StepRunner::Impl::make_memory() {
  std::vector<KernelPorts> ports;
  for (std::size_t kernel = 0; kernel < executables_.size(); ++kernel) {
    const engine::Executable& executable = *executables_[kernel];
    ports.push_back({executable.inputs(), executable.outputs(), executable.input_buffers(),
                     executable.output_buffers(), on_host_engine(graph_.kernels[kernel])});
  }
  plan_ = plan_step(graph_, ports);
  for (const PlannedSurface& planned : plan_.surfaces)
    surfaces_.push_back((planned.host ? host_engine_ : engine_).make_surface(planned.spec));
  make_stages();
  input_ = make_host_copy(graph_.input);
  target_ = make_host_copy(graph_.target);
  if (plan_.tensors.count(graph_.loss) == 0) throw Error("the step computes no loss");
}

void StepRunner::Impl::make_stages() {
  parts_.push_back({StepPart::Kind::copies, "copies", 0, 0});
  for (std::size_t call = 0; call < graph_.calls.size(); ++call) {
    Stage stage;
    const int kernel = graph_.calls[call].kernel;
    std::vector<engine::Surface*> inputs, outputs;
    for (const int index : plan_.input_surfaces[call]) inputs.push_back(&surface(index));
    for (const int index : plan_.output_surfaces[call]) outputs.push_back(&surface(index));
    stage.binding = executables_[at(kernel)]->bind(inputs, outputs);
    stage.host = graph_.kernels[at(kernel)].host;
    parts_.push_back({stage.host ? StepPart::Kind::glue : StepPart::Kind::kernel,
                      graph_.kernels[at(kernel)].name,
                      program_flops(graph_.kernels[at(kernel)].program.main()), 0});
    stages_.push_back(std::move(stage));
  }
  for (const PlannedCopy& copy : plan_.copies) {
    const engine::Port &from = copy.from.port, &to = copy.to.port;
    stages_[at(copy.call)].copies.push_back({plan_port_copy(from, to), copy.from.surface,
                                             copy.to.surface, from.offset_bytes, to.offset_bytes});
  }
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

int StepRunner::Impl::call_writing(const std::string& tensor) const {
  for (std::size_t call = 0; call < graph_.calls.size(); ++call)
    for (const nn::Call::Port& port : graph_.calls[call].outputs)
      if (port.global == tensor) return static_cast<int>(call);
  return 0;  // the host writes it before the first call
}

void StepRunner::Impl::make_gradient_work(ParameterList& parameters, const RunnerOptions& options) {
  if (background_) gradient_pool_ = make_pool(pool_.threads());
  work_ = std::make_unique<GradientWork>(background_ ? *gradient_pool_ : pool_,
                                         product_precision(options.compile.products), background_);
  for (const nn::WeightGradient& product : graph_.weight_gradients) {
    const int job =
        work_->add_product(product.parameter, source_of(product.dy), source_of(product.x),
                           parameters.get(product.parameter).gradient);
    const int ready = std::max(call_writing(product.dy), call_writing(product.x));
    stages_[at(ready)].jobs.push_back(job);
  }
  for (const nn::DirectGradient& direct : graph_.direct_gradients) {
    const int job = work_->add_direct(direct.parameter, source_of(direct.tensor),
                                      parameters.get(direct.parameter).gradient);
    stages_[at(call_writing(direct.tensor))].jobs.push_back(job);
    const TensorHome& home = plan_.tensors.find(direct.tensor)->second;
    direct_.push_back({plan_read(home.port), home.surface, home.port.offset_bytes,
                       static_cast<std::size_t>(home.port.shape.elements())});
    scratch_.resize(std::max(scratch_.size(), direct_.back().elements));
  }
  work_->start();
  for (int job = 0; job < work_->jobs(); ++job)
    parts_.push_back({StepPart::Kind::gradient, work_->name(job), work_->flops(job), 0});
}

// In the background a job may still read a surface when the next step comes to overwrite it.
void StepRunner::Impl::make_waits() {
  const auto add = [&](int written, std::vector<int>& waits) {
    for (int job = 0; job < work_->jobs(); ++job)
      if (work_->reads(job, written)) waits.push_back(job);
  };
  for (std::size_t call = 0; call < stages_.size(); ++call) {
    for (const int index : plan_.output_surfaces[call]) add(index, stages_[call].waits);
    for (const Copy& copy : stages_[call].copies) add(copy.to, stages_[call].waits);
  }
  for (const std::string& name : {graph_.input, graph_.target, graph_.loss_scale}) {
    const auto home = plan_.tensors.find(name);
    if (home != plan_.tensors.end()) add(home->second.surface, input_waits_);
  }
}

void StepRunner::Impl::write_input(const HostCopy& input, std::span<const float> values) {
  if (input.surface < 0) return;
  ANEMONE_CHECK(values.size() == input.elements, "a sample has the model's size");
  const engine::HostAccess access(surface(input.surface), engine::Access::write);
  compute::run(pool_, input.plan, values.data(), access.data() + input.offset);
}

void StepRunner::Impl::write_loss_scale(double loss_scale) {
  const auto home = plan_.tensors.find(graph_.loss_scale);
  if (home == plan_.tensors.end()) return;
  const engine::Port& port = home->second.port;
  const engine::HostAccess access(surface(home->second.surface), engine::Access::write);
  store_element(port.dtype, access.data() + port.offset_bytes, 0, loss_scale);
}

void StepRunner::Impl::wait_for(const std::vector<int>& jobs, StepTimes& times) {
  if (!background_ || jobs.empty()) return;
  const Clock::time_point start = Clock::now();
  for (const int job : jobs) work_->wait(job);
  times.dw += milliseconds_since(start);
}

Status StepRunner::Impl::run_stage(std::size_t call, bool accumulate, StepTimes& times) {
  Stage& stage = stages_[call];
  wait_for(stage.waits, times);
  if (!stage.copies.empty()) {
    const Clock::time_point start = Clock::now();
    for (const Copy& copy : stage.copies) {
      const engine::HostAccess from(surface(copy.from), engine::Access::read);
      const engine::HostAccess to(surface(copy.to), engine::Access::write);
      compute::run(pool_, copy.plan, from.data() + copy.from_offset, to.data() + copy.to_offset);
    }
    const double copying = milliseconds_since(start);
    parts_[0].milliseconds += copying;
    times.host_math += copying;
  }
  const Clock::time_point start = Clock::now();
  Status status = stage.binding->run();
  const double running = milliseconds_since(start);
  parts_[1 + call].milliseconds = running;
  parts_[1 + call].begin = milliseconds_between(began_, start);
  (stage.host ? times.host_math : times.engine) += running;
  if (!status.ok()) return Status::failure(parts_[1 + call].name + ": " + status.message);
  if (!accumulate || stage.jobs.empty()) return status;
  const Clock::time_point products = Clock::now();
  for (const int job : stage.jobs) work_->submit(job);
  if (!background_) times.dw += milliseconds_since(products);
  return status;
}

double StepRunner::Impl::read_loss() {
  const TensorHome& home = plan_.tensors.find(graph_.loss)->second;
  const engine::HostAccess access(surface(home.surface), engine::Access::read);
  return load_element(home.port.dtype, access.data() + home.port.offset_bytes, 0);
}

// An infinity or NaN nearly anywhere in a backward pass reaches the gradients of the norms, which
// are small; where products run in the background this is known before they are.
bool StepRunner::Impl::direct_gradients_finite() {
  for (const HostCopy& reading : direct_) {
    const engine::HostAccess access(surface(reading.surface), engine::Access::read);
    compute::run(pool_, reading.plan, access.data() + reading.offset, scratch_.data());
    float sum = 0;  // 0 times a non-finite number is NaN
    for (std::size_t i = 0; i < reading.elements; ++i) sum += 0 * scratch_[i];
    if (!(sum == 0)) return false;
  }
  return true;
}

StepResult StepRunner::Impl::run(const Sample& sample, double loss_scale, bool accumulate) {
  StepResult result;
  const Clock::time_point start = began_ = Clock::now();
  work_->clear_non_finite();
  wait_for(input_waits_, result.times);
  const Clock::time_point writing = Clock::now();
  write_input(input_, sample.x);
  write_input(target_, sample.target);
  write_loss_scale(loss_scale);
  parts_[0].milliseconds = milliseconds_since(writing);
  result.times.host_math += parts_[0].milliseconds;
  const std::size_t end = accumulate ? stages_.size() : at(graph_.first_backward_call);
  for (std::size_t call = 0; call < end && result.status.ok(); ++call)
    result.status = run_stage(call, accumulate, result.times);
  if (result.status.ok()) {
    result.loss = read_loss();
    result.finite = std::isfinite(result.loss) &&
                    (!accumulate || (direct_gradients_finite() && work_->all_finite()));
  }
  result.times.total = milliseconds_since(start);
  return result;
}

Status StepRunner::Impl::update_weights(double& milliseconds) {
  const Clock::time_point start = Clock::now();
  Status status;
  std::set<const void*> updated;
  for (std::size_t kernel = 0; kernel < executables_.size() && status.ok(); ++kernel) {
    if (!has_weights_[kernel]) continue;
    if (!updated.insert(executables_[kernel]->compiled_program()).second) continue;
    if (!graph_.kernels[kernel].host) ++compiles_;
    status = executables_[kernel]->update_weights();
    if (!status.ok()) status.message = graph_.kernels[kernel].name + ": " + status.message;
  }
  weight_surfaces_.write(pool_);
  milliseconds = milliseconds_since(start);
  return status;
}

std::string StepRunner::Impl::first_non_finite() {
  const auto holds_one = [&](const std::string& name) {
    if (plan_.tensors.count(name) == 0) return false;
    for (const double value : tensor(name))
      if (!std::isfinite(value)) return true;
    return false;
  };
  for (const std::string& name : {graph_.input, graph_.target})
    if (holds_one(name)) return name + ", which is the sample itself";
  for (const nn::Call& call : graph_.calls)
    for (const nn::Call::Port& port : call.outputs)
      if (holds_one(port.global))
        return fmt::format("{}, written by {}", port.global, graph_.kernels[at(call.kernel)].name);
  return {};
}

std::vector<double> StepRunner::Impl::tensor(std::string_view name) {
  const auto home = plan_.tensors.find(name);
  if (home == plan_.tensors.end()) throw Error(fmt::format("the step has no tensor {}", name));
  std::vector<double> values(static_cast<std::size_t>(home->second.port.shape.elements()));
  const engine::HostAccess access(surface(home->second.surface), engine::Access::read);
  engine::read_port(access.data(), home->second.port, std::span<double>(values));
  return values;
}

std::span<const StepPart> StepRunner::Impl::parts() {
  work_->wait_all();
  const std::size_t first = parts_.size() - static_cast<std::size_t>(work_->jobs());
  for (int job = 0; job < work_->jobs(); ++job) {
    parts_[first + at(job)].milliseconds = work_->milliseconds(job);
    parts_[first + at(job)].begin = milliseconds_between(began_, work_->began(job));
  }
  return parts_;
}

double StepRunner::Impl::executed_flops() const {
  double sum = 0;
  for (const nn::Call& call : graph_.calls) {
    const double executed = executables_[at(call.kernel)]->executed_flops();
    sum += executed >= 0 ? executed : program_flops(graph_.kernels[at(call.kernel)].program.main());
  }
  for (int job = 0; job < work_->jobs(); ++job) sum += work_->flops(job);
  return sum;
}

std::string StepRunner::Impl::explain() const {
  std::string text;
  for (std::size_t kernel = 0; kernel < executables_.size(); ++kernel) {
    text += fmt::format("{}{}\n", graph_.kernels[kernel].name,
                        on_host_engine(graph_.kernels[kernel]) ? " (on the host)" : "");
    text += executables_[kernel]->explain();
  }
  for (const PlannedCopy& copy : plan_.copies)
    text += fmt::format("copy into {}: {} {}\n", parts_[1 + at(copy.call)].name, copy.to.port.name,
                        copy.to.port.shape.to_string());
  return text + work_->explain();
}

StepRunner::StepRunner(nn::StepGraph graph, engine::Engine& engine, engine::Engine& host_engine,
                       ParameterList& parameters, const RunnerOptions& options)
    : impl_(std::make_unique<Impl>(std::move(graph), engine, host_engine, parameters, options,
                                   nullptr)) {}
StepRunner::StepRunner(nn::StepGraph graph, engine::Engine& engine, engine::Engine& host_engine,
                       ParameterList& parameters, const RunnerOptions& options,
                       compute::ThreadPool& pool)
    : impl_(std::make_unique<Impl>(std::move(graph), engine, host_engine, parameters, options,
                                   &pool)) {}
StepRunner::~StepRunner() = default;

int StepRunner::compiles_per_update() const { return impl_->compiles_per_update(); }
int StepRunner::compiles() const { return impl_->compiles(); }
double StepRunner::compile_milliseconds() const { return impl_->compile_milliseconds(); }
StepResult StepRunner::run(const Sample& sample, double loss_scale, bool accumulate) {
  return impl_->run(sample, loss_scale, accumulate);
}
Status StepRunner::finish_gradients() { return impl_->finish_gradients(); }
Status StepRunner::update_weights(double& milliseconds) {
  return impl_->update_weights(milliseconds);
}
std::string StepRunner::first_non_finite() { return impl_->first_non_finite(); }
std::vector<double> StepRunner::tensor(std::string_view name) { return impl_->tensor(name); }
std::span<const StepPart> StepRunner::parts() { return impl_->parts(); }
double StepRunner::executed_flops() const { return impl_->executed_flops(); }
std::string StepRunner::explain() const { return impl_->explain(); }
const StepPlan& StepRunner::plan() const { return impl_->plan(); }
std::size_t StepRunner::surface_bytes() const { return impl_->plan().bytes(); }
std::size_t StepRunner::engine_bytes() const { return impl_->engine_bytes(); }

}  // namespace anemone::train
