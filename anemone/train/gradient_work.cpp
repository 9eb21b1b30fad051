// Weight-gradient jobs, inline or on one background thread.
#include "anemone/train/gradient_work.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include "anemone/base/clock.h"
#include "anemone/base/error.h"

namespace anemone::train {
namespace {

compute::GemmSpec product_spec(const engine::Port& dy, const engine::Port& x,
                               compute::ProductPrecision precision) {
  compute::GemmSpec spec;
  spec.m = dy.shape[1];
  spec.n = x.shape[1];
  spec.k = dy.shape[3];
  spec.a = {dy.dtype, dy.strides[1], dy.strides[3]};
  spec.b = {x.dtype, x.strides[3], x.strides[1]};
  spec.c = compute::GemmOperand::rows(DType::fp32, spec.n);
  spec.beta = 1;
  spec.precision = precision;
  return spec;
}

bool is_channel_first(const Shape& shape) {
  return shape.rank() == 4 && shape[0] == 1 && shape[2] == 1;
}

// A row-major fp32 array of a tensor's shape.
engine::Port array_port(const engine::Port& tensor) {
  engine::Port port = tensor;
  port.dtype = DType::fp32;
  port.strides = contiguous_strides(tensor.shape);
  port.offset_bytes = 0;
  return port;
}

}  // namespace

compute::CopyPlan plan_port_copy(const engine::Port& from, const engine::Port& to) {
  compute::CopySpec spec;
  spec.shape = from.shape;
  spec.in_type = from.dtype;
  spec.in_strides = from.strides;
  spec.out_type = to.dtype;
  spec.out_strides = to.strides;
  return compute::plan_copy(spec);
}
compute::CopyPlan plan_read(const engine::Port& tensor) {
  return plan_port_copy(tensor, array_port(tensor));
}
compute::CopyPlan plan_write(const engine::Port& tensor) {
  return plan_port_copy(array_port(tensor), tensor);
}

GradientWork::GradientWork(compute::ThreadPool& pool, compute::ProductPrecision precision,
                           bool background, const GradientBlock& gradients)
    : pool_(pool), precision_(precision), background_(background), gradients_(gradients) {}

GradientWork::~GradientWork() {
  if (!worker_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  submitted_.notify_all();
  worker_.join();
}

int GradientWork::add_product(const std::string& parameter, std::int64_t first_row,
                              const Source& dy, const Source& x, std::span<float> gradient) {
  const Shape &left = dy.port.shape, &right = x.port.shape;
  const auto size = static_cast<std::int64_t>(gradient.size());
  if (!is_channel_first(left) || !is_channel_first(right) || left[3] != right[3] ||
      size % right[1] != 0 || first_row < 0 || (first_row + left[1]) * right[1] > size)
    throw Error(fmt::format("the gradient of {} cannot be made of {} and {}", parameter,
                            left.to_string(), right.to_string()));
  const bool whole = left[1] * right[1] == size;
  Job job;
  job.name = "dW " + parameter;
  if (!whole) job.name += fmt::format("[{}:{}]", first_row, first_row + left[1]);
  job.parameter = parameter;
  job.first = dy;
  job.second = x;
  job.plan = compute::plan_gemm(product_spec(dy.port, x.port, precision_));
  job.gradient = gradient.subspan(static_cast<std::size_t>(first_row * right[1]),
                                  static_cast<std::size_t>(left[1] * right[1]));
  job.product = true;
  jobs_.push_back(std::move(job));
  return jobs() - 1;
}

int GradientWork::add_direct(const std::string& parameter, const Source& tensor,
                             std::span<float> gradient) {
  if (tensor.port.shape.elements() != static_cast<std::int64_t>(gradient.size()))
    throw Error(
        fmt::format("the gradient of {} cannot be {}", parameter, tensor.port.shape.to_string()));
  Job job;
  job.name = "dW " + parameter;
  job.parameter = parameter;
  job.first = tensor;
  job.copy = plan_read(tensor.port);
  job.gradient = gradient;
  jobs_.push_back(std::move(job));
  scratch_.resize(std::max(scratch_.size(), gradient.size()));
  return jobs() - 1;
}

std::size_t GradientWork::workspace_needed() const {
  std::size_t bytes = 0;
  for (const Job& job : jobs_)
    if (job.product) bytes = std::max(bytes, job.plan.workspace_bytes(pool_.threads()));
  return bytes;
}

void GradientWork::start(std::span<std::byte> workspace) {
  if (workspace.empty()) {
    own_workspace_ = AlignedBuffer(workspace_needed());
    workspace = own_workspace_.as<std::byte>();
  }
  workspace_ = workspace;
  queue_.resize(jobs_.size());
  if (background_) worker_ = std::thread([this] { work(); });
}

void GradientWork::submit(int job) {
  if (!background_) {
    run(at(job));
    return;
  }
  wait(job);
  {
    const std::lock_guard lock(mutex_);
    at(job).pending = true;
    queue_[(head_ + count_) % queue_.size()] = job;
    ++count_;
  }
  submitted_.notify_one();
}

void GradientWork::wait(int job) {
  if (!background_) return;
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return !at(job).pending; });
}

void GradientWork::wait_all() {
  for (int job = 0; job < jobs(); ++job) wait(job);
}

Status GradientWork::status() {
  const std::lock_guard lock(mutex_);
  return status_;
}

bool GradientWork::reads(int job, int surface_index) const {
  const Job& j = at(job);
  return j.first.surface_index == surface_index ||
         (j.product && j.second.surface_index == surface_index);
}

double GradientWork::flops(int job) const { return at(job).product ? at(job).plan.flops() : 0; }

std::string GradientWork::explain() const {
  std::string text;
  for (const Job& job : jobs_) {
    if (job.product)
      text += fmt::format("{} [{} x {}]: {}, k = {}{}\n", job.name, job.plan.spec.m,
                          job.plan.spec.n, job.plan.kernel_name(), job.plan.spec.k,
                          background_ ? ", in the background" : "");
    else
      text += fmt::format("{}: sum of {} elements\n", job.name, job.gradient.size());
  }
  return text;
}

void GradientWork::run(Job& job) {
  const Clock::time_point start = Clock::now();
  job.began = start;
  if (job.product)
    run_product(job);
  else
    run_direct(job);
  check_finite(job);
  job.milliseconds = milliseconds_since(start);
}

void GradientWork::run_product(const Job& job) {
  const engine::HostAccess dy(*job.first.surface, engine::Access::read);
  const engine::HostAccess x(*job.second.surface, engine::Access::read);
  compute::GemmArgs args;
  args.a = dy.data() + job.first.port.offset_bytes;
  args.b = x.data() + job.second.port.offset_bytes;
  args.c = gradient_of(job).data();
  compute::run(pool_, job.plan, {workspace_.data(), workspace_.size()}, args);
}

void GradientWork::run_direct(const Job& job) {
  const std::span<float> gradient = gradient_of(job);
  const std::span<float> values = std::span<float>(scratch_).first(gradient.size());
  const engine::HostAccess tensor(*job.first.surface, engine::Access::read);
  compute::run(pool_, job.copy, tensor.data() + job.first.port.offset_bytes, values.data());
  for (std::size_t i = 0; i < values.size(); ++i) gradient[i] += values[i];
}

// A number of dy that is not finite spoils a whole row of the product, one of x a whole column: the
// first row and the first column tell.
void GradientWork::check_finite(const Job& job) {
  const std::size_t rows = job.product ? static_cast<std::size_t>(job.plan.spec.m) : 1;
  const std::span<const float> gradient = gradient_of(job);
  const std::size_t columns = gradient.size() / rows;
  float sum = 0;  // 0 times a non-finite number is NaN
  for (std::size_t column = 0; column < columns; ++column) sum += 0 * gradient[column];
  for (std::size_t row = 1; row < rows; ++row) sum += 0 * gradient[row * columns];
  if (sum == 0) return;
  int none = -1;
  non_finite_.compare_exchange_strong(none, static_cast<int>(&job - jobs_.data()),
                                      std::memory_order_relaxed);
}

void GradientWork::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    submitted_.wait(lock, [&] { return stopping_ || count_ != 0; });
    if (count_ == 0) return;
    Job& job = at(queue_[head_]);
    lock.unlock();
    try {
      run(job);
    } catch (const std::exception& error) {
      fail(job, error.what());
    }
    lock.lock();
    head_ = (head_ + 1) % queue_.size();
    --count_;
    job.pending = false;
    finished_.notify_all();
  }
}

void GradientWork::fail(const Job& job, const char* why) {
  const std::lock_guard lock(mutex_);
  if (status_.ok()) status_ = Status::failure(job.name + ": " + why);
}

}  // namespace anemone::train
