// One training step as a straight line: host writes, then for each call its host operations, its
// copies, the program, and the weight gradients that became possible.
#include "anemone/train/step_runner.h"

#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include "anemone/base/clock.h"
#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/train/step_runner_impl.h"

namespace anemone::train {
namespace {

// Most engines name the program in what they say; here it is named in any case, and once.
Status named(const std::string& program, Status status) {
  if (status.ok()) return status;
  const std::string prefix = program + ": ";
  if (status.message.rfind(prefix, 0) != 0) status.message = prefix + status.message;
  return status;
}

bool is_backward(nn::HostOp::Kind kind) {
  return kind == nn::HostOp::Kind::subtract_targets || kind == nn::HostOp::Kind::embedding_gradient;
}

}  // namespace

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

void StepRunner::Impl::write_sample(const Sample& sample, double loss_scale) {
  const Clock::time_point start = Clock::now();
  if (graph_.host_ops.empty()) {
    write_input(input_, sample.x);
    write_input(target_, sample.target);
    write_loss_scale(loss_scale);
  } else {
    token_ops_.begin(sample.tokens, loss_scale);
  }
  parts_[0].milliseconds = milliseconds_since(start);
  times_.host_math += parts_[0].milliseconds;
}

void StepRunner::Impl::wait_for(const std::vector<int>& jobs) {
  if (!background_ || jobs.empty()) return;
  const Clock::time_point start = Clock::now();
  for (const int job : jobs) work_->wait(job);
  times_.dw += milliseconds_since(start);
}

void StepRunner::Impl::run_token_ops(const Stage& stage, bool accumulate) {
  if (stage.ops.empty()) return;
  const Clock::time_point start = Clock::now();
  for (const int op : stage.ops)
    if (accumulate || !is_backward(graph_.host_ops[at(op)].kind)) token_ops_.run(op);
  const double taken = milliseconds_since(start);
  parts_[1].milliseconds += taken;
  times_.host_math += taken;
}

void StepRunner::Impl::run_copies(const Stage& stage) {
  if (stage.copies.empty()) return;
  const Clock::time_point start = Clock::now();
  for (const Copy& copy : stage.copies) {
    const engine::HostAccess from(surface(copy.from), engine::Access::read);
    const engine::HostAccess to(surface(copy.to), engine::Access::write);
    compute::run(pool_, copy.plan, from.data() + copy.from_offset, to.data() + copy.to_offset);
  }
  const double taken = milliseconds_since(start);
  parts_[0].milliseconds += taken;
  times_.host_math += taken;
}

Status StepRunner::Impl::run_call(std::size_t call) {
  StepPart& part = parts_[first_call_part_ + call];
  const Clock::time_point start = Clock::now();
  Status status = stages_[call].binding->run();
  part.milliseconds = milliseconds_since(start);
  part.begin = milliseconds_between(began_, start);
  (stages_[call].host ? times_.host_math : times_.engine) += part.milliseconds;
  return named(part.name, std::move(status));
}

// An infinity or NaN nearly anywhere in a backward pass reaches the gradients of the norms, which
// are small; where products run in the background this is known before they are.
void StepRunner::Impl::check_directs(const Stage& stage) {
  for (const int index : stage.directs) {
    if (bad_direct_ >= 0) return;
    const HostCopy& reading = directs_[at(index)].reading;
    const engine::HostAccess access(surface(reading.surface), engine::Access::read);
    compute::run(pool_, reading.plan, access.data() + reading.offset, scratch_.data());
    float sum = 0;  // 0 times a non-finite number is NaN
    for (std::size_t i = 0; i < reading.elements; ++i) sum += 0 * scratch_[i];
    if (!(sum == 0)) bad_direct_ = index;
  }
}

Status StepRunner::Impl::run_stage(std::size_t index, bool accumulate, bool has_call) {
  const Stage& stage = stages_[index];
  last_stage_ = static_cast<int>(index);
  wait_for(stage.waits);
  run_token_ops(stage, accumulate);
  if (has_call) {
    run_copies(stage);
    Status status = run_call(index);
    if (!status.ok()) return status;
  }
  if (!accumulate) return {};
  check_directs(stage);
  const Clock::time_point start = Clock::now();
  for (const int job : stage.jobs) work_->submit(job);
  if (!background_) times_.dw += milliseconds_since(start);
  return {};
}

double StepRunner::Impl::read_loss() {
  if (!graph_.host_ops.empty()) return token_ops_.loss();
  const TensorHome& home = plan_.tensors.find(graph_.loss)->second;
  const engine::HostAccess access(surface(home.surface), engine::Access::read);
  return load_element(home.port.dtype, access.data() + home.port.offset_bytes, 0);
}

StepResult StepRunner::Impl::run(const Sample& sample, double loss_scale, bool accumulate) {
  StepResult result;
  began_ = Clock::now();
  times_ = {};
  bad_direct_ = -1;
  if (!graph_.host_ops.empty()) parts_[1].milliseconds = 0;
  if (!background_) work_->clear_non_finite();
  wait_for(input_waits_);
  write_sample(sample, loss_scale);
  // The loss is known once the host operations before the first call of the backward pass are done.
  const std::size_t end = accumulate ? graph_.calls.size() : at(graph_.first_backward_call);
  for (std::size_t stage = 0; stage <= end && result.status.ok(); ++stage)
    result.status = run_stage(stage, accumulate, /*has_call=*/stage < end);
  if (result.status.ok()) {
    result.loss = read_loss();
    if (!graph_.host_ops.empty()) result.targets = token_ops_.targets();
    // In the background it would depend on timing what a product says here: finish_gradients()
    // comes first.
    const bool products_finite = background_ || work_->first_non_finite() < 0;
    result.finite = std::isfinite(result.loss) &&
                    (!accumulate || (bad_direct_ < 0 && products_finite && token_ops_.finite()));
  }
  times_.total = milliseconds_since(began_);
  result.times = times_;
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
    status = named(graph_.kernels[kernel].name, executables_[kernel]->update_weights());
  }
  weight_surfaces_.write(pool_);
  milliseconds = milliseconds_since(start);
  return status;
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
void StepRunner::begin_gradients() { impl_->begin_gradients(); }
void StepRunner::add_gradients_to(std::span<float> block) { impl_->add_gradients_to(block); }
Status StepRunner::update_weights(double& milliseconds) {
  return impl_->update_weights(milliseconds);
}
std::string StepRunner::first_non_finite() { return impl_->first_non_finite(); }
std::vector<double> StepRunner::tensor(std::string_view name) { return impl_->tensor(name); }
std::span<const StepPart> StepRunner::parts() { return impl_->parts(); }
double StepRunner::executed_flops() const { return impl_->executed_flops(); }
std::string StepRunner::explain() const { return impl_->explain(); }
const StepPlan& StepRunner::plan() const { return impl_->plan(); }
StepMemory StepRunner::memory() const { return impl_->memory(); }

}  // namespace anemone::train
