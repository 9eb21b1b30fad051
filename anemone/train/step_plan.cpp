// Assigns memory to the tensors of a step. One pass over the calls in order: an input buffer is an
// existing surface if every tensor in it already lies there as the kernel wants it, else a new
// surface filled by copies; output buffers are new surfaces.
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
  StepPlanner(const nn::StepGraph& graph, std::span<const KernelPorts> kernels)
      : graph_(graph), kernels_(kernels) {
    for (const std::string& name : {graph.input, graph.target, graph.loss_scale})
      host_written_.push_back(name);
    for (const nn::ParameterSpec& spec : graph.parameters) parameters_.insert(spec.name);
  }

  StepPlan plan() {
    for (std::size_t call = 0; call < graph_.calls.size(); ++call) {
      plan_inputs(static_cast<int>(call));
      plan_outputs(static_cast<int>(call));
    }
    for (auto& [name, locations] : locations_) plan_.tensors.emplace(name, locations.front());
    return std::move(plan_);
  }

 private:
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
    return static_cast<int>(plan_.surfaces.size()) - 1;
  }

  bool is_host_written(const std::string& name) const {
    return std::find(host_written_.begin(), host_written_.end(), name) != host_written_.end() ||
           is_parameter(name);
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
      }
      // The host writes its tensors straight to where they are read first.
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
      surfaces.push_back(surface);
    }
    plan_.input_surfaces.push_back(std::move(surfaces));
  }

  void plan_outputs(int call) {
    const KernelPorts& kernel = ports_of(call);
    const std::vector<Bound> bound =
        bind(call, graph_.calls[static_cast<std::size_t>(call)].outputs, kernel.outputs, "output");
    std::vector<int> surfaces;
    for (const engine::BufferSpec& spec : kernel.output_buffers)
      surfaces.push_back(add_surface(spec, kernel.host));
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

  const nn::StepGraph& graph_;
  std::span<const KernelPorts> kernels_;
  std::vector<std::string> host_written_;
  std::set<std::string, std::less<>> parameters_;
  std::map<std::string, Locations, std::less<>> locations_;
  StepPlan plan_;
};

}  // namespace

std::size_t StepPlan::bytes() const {
  std::size_t sum = 0;
  for (const PlannedSurface& surface : surfaces) sum += surface.spec.bytes;
  return sum;
}

StepPlan plan_step(const nn::StepGraph& graph, std::span<const KernelPorts> kernels) {
  return StepPlanner(graph, kernels).plan();
}

}  // namespace anemone::train
