// What is known of a step and of its last run: plans, times, tensors, the first non-finite number.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "anemone/base/clock.h"
#include "anemone/base/error.h"
#include "anemone/train/step_runner_impl.h"

namespace anemone::train {

bool StepRunner::Impl::is_gone(const std::string& tensor) const {
  const auto gone = plan_.overwritten.find(tensor);
  return gone != plan_.overwritten.end() && gone->second <= last_stage_;
}

bool StepRunner::Impl::holds_non_finite(const std::string& name) {
  if (plan_.tensors.count(name) == 0 || is_gone(name)) return false;
  for (const double value : tensor(name))
    if (!std::isfinite(value)) return true;
  return false;
}

std::string StepRunner::Impl::first_non_finite() {
  if (graph_.host_ops.empty()) {
    for (const std::string& name : {graph_.input, graph_.target})
      if (holds_non_finite(name)) return name + ", which is the sample itself";
  }
  for (int stage = 0; stage <= last_stage_; ++stage) {
    for (const int op : stages_[at(stage)].ops)
      for (const std::string& name :
           {graph_.host_ops[at(op)].tensor, graph_.host_ops[at(op)].weight})
        if (holds_non_finite(name)) return name + ", written by the host";
    if (at(stage) == graph_.calls.size()) break;
    const nn::Call& call = graph_.calls[at(stage)];
    const std::string by = ", written by " + graph_.kernels[at(call.kernel)].name;
    for (const nn::Call::Port& port : call.outputs)
      if (holds_non_finite(port.global)) return port.global + by;
    // Whether these were finite was seen when they were written.
    for (const int direct : stages_[at(stage)].directs)
      if (direct == bad_direct_) return directs_[at(direct)].tensor + by;
  }
  work_->wait_all();  // so that the answer does not depend on timing
  const int job = work_->first_non_finite();
  return job < 0 ? "" : "the gradient of " + work_->parameter(job);
}

std::vector<double> StepRunner::Impl::tensor(std::string_view name) {
  const auto home = plan_.tensors.find(name);
  if (home == plan_.tensors.end()) throw Error(fmt::format("the step has no tensor {}", name));
  if (is_gone(home->first))
    throw Error(fmt::format("tensor {} is gone: others took its place", name), "",
                "a runner with keep_all_tensors");
  std::vector<double> values(static_cast<std::size_t>(home->second.port.shape.elements()));
  const engine::HostAccess access(surface(home->second.surface), engine::Access::read);
  engine::read_port(access.data(), home->second.port, std::span<double>(values));
  return values;
}

std::span<const StepPart> StepRunner::Impl::parts() {
  work_->wait_all();
  for (int job = 0; job < work_->jobs(); ++job) {
    StepPart& part = parts_[first_job_part_ + at(job)];
    part.milliseconds = work_->milliseconds(job);
    part.begin = milliseconds_between(began_, work_->began(job));
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

StepMemory StepRunner::Impl::memory() const {
  StepMemory memory;
  std::map<std::string, std::size_t> largest;  // form of each weight
  for (const auto& executable : executables_) {
    memory.constants += executable->constant_bytes();
    for (const engine::PackedWeight& weight : executable->packed_weights()) {
      std::size_t& bytes = largest[weight.name];
      bytes = std::max(bytes, weight.bytes);
    }
  }
  for (const auto& [name, bytes] : largest) memory.one_form += bytes;
  memory.scratch = shared_scratch_.size();
  memory.surfaces = plan_.bytes();
  memory.host = work_->own_bytes() + scratch_.size() * sizeof(float);
  return memory;
}

std::string StepRunner::Impl::explain() const {
  std::string text;
  for (std::size_t kernel = 0; kernel < executables_.size(); ++kernel) {
    text += fmt::format("{}{}\n", graph_.kernels[kernel].name,
                        on_host_engine(graph_.kernels[kernel]) ? " (on the host)" : "");
    text += executables_[kernel]->explain();
  }
  for (const PlannedCopy& copy : plan_.copies)
    text += fmt::format("copy into {}: {} {}\n", parts_[first_call_part_ + at(copy.call)].name,
                        copy.to.port.name, copy.to.port.shape.to_string());
  return text + work_->explain();
}

}  // namespace anemone::train
