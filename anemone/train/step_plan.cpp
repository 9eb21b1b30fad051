// Assigns memory to the tensors of a step. One pass over the stages in order: an input buffer is an
// existing surface if every tensor in it already lies there as the kernel wants it, else a new
// surface filled by copies; output buffers are new surfaces. The pass notes when each surface is in
// use; those that never are at the same time then become one.
#include "anemone/train/step_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "anemone/base/error.h"

namespace anemone::train {
namespace {

using Locations = std::vector<TensorHome>;  // everywhere a tensor can be read, its home first

class StepPlanner {
 public:
  StepPlanner(const nn::StepGraph& graph, std::span<const KernelPorts> kernels,
              const PlanOptions& options)
      : graph_(graph), kernels_(kernels), options_(options) {
    for (const nn::ParameterSpec& spec : graph.parameters) parameters_.insert(spec.name);
    for (const nn::ParameterRows& rows : graph.parameter_rows) parameters_.insert(rows.name);
    for (const std::string& name : {graph.input, graph.target, graph.loss_scale})
      if (!name.empty()) written_by_host_[name] = kBeforeStep;
  }

  StepPlan plan() {
    const int end = static_cast<int>(graph_.calls.size());
    for (int call = 0; call < end; ++call) {
      plan_host_ops(call);
      plan_inputs(call);
      plan_outputs(call);
    }
    plan_host_ops(end);
    plan_gradients();
    for (const std::string& name : {graph_.loss, graph_.output, graph_.input_gradient})
      if (locations_.count(name) != 0) touch(locations_[name].front(), ops_of(end + 1));
    for (const PlannedWeight& weight : plan_.weights) {  // written after an update, never in a step
      touch(weight.place, kBeforeStep);
      touch(weight.place, ops_of(end + 1));
    }
    for (auto& [name, locations] : locations_) plan_.tensors.emplace(name, locations.front());
    if (!options_.keep_all_tensors) share();
    return std::move(plan_);
  }

 private:
  // Moments: two a stage, its host operations and its call.
  static constexpr int kBeforeStep = -1;
  static int ops_of(int stage) { return 2 * stage; }
  static int call_of(int stage) { return 2 * stage + 1; }
  static int stage_of(int moment) { return moment / 2; }

  void touch(int surface, int moment) { usage_[static_cast<std::size_t>(surface)].touch(moment); }
  void touch(const TensorHome& home, int moment) { touch(home.surface, moment); }

  // A port of a call, with the global tensor bound to it.
  struct Bound {
    const engine::Port* port;
    const std::string* global;
  };

  const KernelPorts& ports_of(int call) const {
    const int kernel = graph_.calls[static_cast<std::size_t>(call)].kernel;
    ANEMONE_CHECK(kernel >= 0 && static_cast<std::size_t>(kernel) < kernels_.size(),
                  "a call names a kernel that is not there");
    return kernels_[static_cast<std::size_t>(kernel)];
  }

  std::string where(int call) const {
    return graph_
        .kernels[static_cast<std::size_t>(graph_.calls[static_cast<std::size_t>(call)].kernel)]
        .name;
  }

  std::vector<Bound> bind(int call, const std::vector<nn::Call::Port>& wired,
                          const std::vector<engine::Port>& ports, const char* direction) const {
    std::vector<Bound> bound;
    for (const engine::Port& port : ports) {
      const auto found = std::find_if(wired.begin(), wired.end(), [&](const nn::Call::Port& wire) {
        return wire.local == port.name;
      });
      if (found == wired.end())
        throw Error(fmt::format("{} {} is bound to nothing", direction, port.name), where(call));
      bound.push_back({&port, &found->global});
    }
    for (const nn::Call::Port& wire : wired) {
      const bool exists = std::any_of(ports.begin(), ports.end(), [&](const engine::Port& port) {
        return port.name == wire.local;
      });
      if (!exists)
        throw Error(fmt::format("no {} is named {}", direction, wire.local), where(call));
    }
    return bound;
  }

  int add_surface(const engine::BufferSpec& spec, bool host) {
    plan_.surfaces.push_back({spec, host});
    usage_.emplace_back();
    return static_cast<int>(plan_.surfaces.size()) - 1;
  }

  bool is_host_written(const std::string& name) const {
    return written_by_host_.count(name) != 0 || is_parameter(name);
  }
  bool is_parameter(const std::string& name) const { return parameters_.count(name) != 0; }

  // Is the tensor in `surface` just where `port` wants it?
  bool lies_in(const std::string& global, int surface, const engine::Port& port) const {
    const auto found = locations_.find(global);
    if (found == locations_.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [&](const TensorHome& home) {
      return home.surface == surface && home.port.offset_bytes == port.offset_bytes &&
             home.port.same_layout(port);
    });
  }

  // A surface that already holds all of a buffer's tensors in place, or -1.
  int shared_surface(const std::vector<Bound>& members, const engine::BufferSpec& spec,
                     bool host) const {
    if (members.empty()) return -1;
    const auto first = locations_.find(*members[0].global);
    if (first == locations_.end()) return -1;
    for (const TensorHome& home : first->second) {
      const PlannedSurface& surface = plan_.surfaces[static_cast<std::size_t>(home.surface)];
      if (surface.host != host || surface.spec.bytes < spec.bytes) continue;
      const bool all = std::all_of(members.begin(), members.end(), [&](const Bound& member) {
        return lies_in(*member.global, home.surface, *member.port);
      });
      if (all) return home.surface;
    }
    return -1;
  }

  void fill_by_copies(int call, const std::vector<Bound>& members, int surface) {
    for (const Bound& member : members) {
      const TensorHome place{surface, *member.port};
      Locations& locations = locations_[*member.global];
      if (is_parameter(*member.global)) {
        plan_.weights.push_back({*member.global, place});  // rarely written: no copy in each step
      } else if (!locations.empty()) {
        check_shape(call, member, locations.front());
        plan_.copies.push_back({call, locations.front(), place});
        touch(locations.front(), call_of(call));
      } else {
        // The host writes its tensors straight to where they are read first.
        touch(place, written_by_host_.at(*member.global));
      }
      locations.push_back(place);
    }
  }

  void check_shape(int call, const Bound& member, const TensorHome& home) const {
    if (member.port->shape == home.port.shape) return;
    throw Error(
        fmt::format("input {} has shape {}, but {} has {}", member.port->name,
                    member.port->shape.to_string(), *member.global, home.port.shape.to_string()),
        where(call));
  }

  void plan_inputs(int call) {
    const KernelPorts& kernel = ports_of(call);
    const std::vector<Bound> bound =
        bind(call, graph_.calls[static_cast<std::size_t>(call)].inputs, kernel.inputs, "input");
    for (const Bound& input : bound) {
      if (locations_.count(*input.global) == 0 && !is_host_written(*input.global))
        throw Error(fmt::format("input {} reads {}, which nothing wrote before", input.port->name,
                                *input.global),
                    where(call));
    }
    std::vector<int> surfaces;
    for (std::size_t buffer = 0; buffer < kernel.input_buffers.size(); ++buffer) {
      std::vector<Bound> members;
      for (const Bound& input : bound)
        if (input.port->buffer == static_cast<int>(buffer)) members.push_back(input);
      const engine::BufferSpec& spec = kernel.input_buffers[buffer];
      int surface = shared_surface(members, spec, kernel.host);
      if (surface < 0) {
        surface = add_surface(spec, kernel.host);
        fill_by_copies(call, members, surface);
      }
      touch(surface, call_of(call));
      surfaces.push_back(surface);
    }
    plan_.input_surfaces.push_back(std::move(surfaces));
  }

  void plan_outputs(int call) {
    const KernelPorts& kernel = ports_of(call);
    const std::vector<Bound> bound =
        bind(call, graph_.calls[static_cast<std::size_t>(call)].outputs, kernel.outputs, "output");
    std::vector<int> surfaces;
    for (const engine::BufferSpec& spec : kernel.output_buffers) {
      surfaces.push_back(add_surface(spec, kernel.host));
      touch(surfaces.back(), call_of(call));
    }
    for (const Bound& output : bound) {
      const int surface = surfaces[static_cast<std::size_t>(output.port->buffer)];
      if (is_host_written(*output.global) || locations_.count(*output.global) != 0)
        throw Error(fmt::format("output {} writes {}, which was written before", output.port->name,
                                *output.global),
                    where(call));
      locations_[*output.global].push_back({surface, *output.port});
    }
    plan_.output_surfaces.push_back(std::move(surfaces));
  }

  void plan_host_ops(int stage) {
    for (const nn::HostOp& op : graph_.host_ops) {
      if (op.before_call != stage) continue;
      switch (op.kind) {
        case nn::HostOp::Kind::embed:
          write_on_host(op.tensor, stage);
          break;
        case nn::HostOp::Kind::pick_targets:
          read_on_host(op.tensor, stage);
          read_on_host(op.log_sum, stage);
          break;
        case nn::HostOp::Kind::join_loss:
          write_on_host(op.log_sum, stage);
          write_on_host(op.weight, stage);
          break;
        case nn::HostOp::Kind::subtract_targets:
          read_on_host(op.tensor, stage);
          locations_[op.tensor].resize(1);  // copies made before are of what it was
          break;
        case nn::HostOp::Kind::embedding_gradient:
          read_on_host(op.tensor, stage);
          break;
      }
    }
  }

  void read_on_host(const std::string& name, int stage) {
    const auto found = locations_.find(name);
    if (found == locations_.end())
      throw Error(fmt::format("a host operation reads {}, which nothing wrote before", name));
    touch(found->second.front(), ops_of(stage));
  }

  void write_on_host(const std::string& name, int stage) {
    const auto before = written_by_host_.find(name);
    const bool twice = locations_.count(name) != 0 ||
                       (before != written_by_host_.end() && before->second != kBeforeStep);
    if (twice)
      throw Error(fmt::format("a host operation writes {}, which was written before", name));
    written_by_host_[name] = ops_of(stage);
  }

  // What a weight gradient reads; a tensor that nothing wrote is the runner's error.
  void plan_gradients() {
    const auto read = [&](const std::string& name, int ready) {
      const auto found = locations_.find(name);
      if (found != locations_.end())
        touch(found->second.front(), call_of(ready + options_.gradients_lag));
    };
    for (const nn::WeightGradient& product : graph_.weight_gradients) {
      const int ready =
          std::max(stage_writing(graph_, product.dy), stage_writing(graph_, product.x));
      read(product.dy, ready);
      read(product.x, ready);
    }
    for (const nn::DirectGradient& direct : graph_.direct_gradients)
      read(direct.tensor, stage_writing(graph_, direct.tensor));
  }

  void share() {
    const SharedSurfaces shared = share_surfaces(plan_.surfaces, usage_);
    note_overwritten(shared.place);
    const auto move = [&](int& surface) {
      surface = shared.place[static_cast<std::size_t>(surface)];
    };
    for (auto* calls : {&plan_.input_surfaces, &plan_.output_surfaces})
      for (std::vector<int>& surfaces : *calls)
        for (int& surface : surfaces) move(surface);
    for (PlannedCopy& copy : plan_.copies) {
      move(copy.from.surface);
      move(copy.to.surface);
    }
    for (PlannedWeight& weight : plan_.weights) move(weight.place.surface);
    for (auto& tensor : plan_.tensors) move(tensor.second.surface);
    plan_.surfaces = shared.surfaces;
  }

  void note_overwritten(const std::vector<int>& place) {
    for (const auto& [name, home] : plan_.tensors) {
      const auto own = static_cast<std::size_t>(home.surface);
      int next = -1;
      for (std::size_t other = 0; other < place.size(); ++other) {
        if (place[other] != place[own] || usage_[other].first <= usage_[own].last) continue;
        const int stage = stage_of(usage_[other].first);
        if (next < 0 || stage < next) next = stage;
      }
      if (next >= 0) plan_.overwritten.emplace(name, next);
    }
  }

  const nn::StepGraph& graph_;
  std::span<const KernelPorts> kernels_;
  const PlanOptions& options_;
  std::map<std::string, int, std::less<>> written_by_host_;  // and when
  std::set<std::string, std::less<>> parameters_;
  std::map<std::string, Locations, std::less<>> locations_;
  std::vector<Usage> usage_;  // of the surfaces
  StepPlan plan_;
};

}  // namespace

std::size_t StepPlan::bytes() const {
  std::size_t sum = 0;
  for (const PlannedSurface& surface : surfaces) sum += surface.spec.bytes;
  return sum;
}

int stage_writing(const nn::StepGraph& graph, std::string_view tensor) {
  int stage = 0;
  for (std::size_t call = 0; call < graph.calls.size(); ++call)
    for (const nn::Call::Port& port : graph.calls[call].outputs)
      if (port.global == tensor) stage = static_cast<int>(call);
  for (const nn::HostOp& op : graph.host_ops) {
    const bool writes = op.kind == nn::HostOp::Kind::subtract_targets && op.tensor == tensor;
    if (writes) stage = std::max(stage, op.before_call);
  }
  return stage;
}

StepPlan plan_step(const nn::StepGraph& graph, std::span<const KernelPorts> kernels,
                   const PlanOptions& options) {
  return StepPlanner(graph, kernels, options).plan();
}

}  // namespace anemone::train
