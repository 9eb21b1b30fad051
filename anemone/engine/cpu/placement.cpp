// Placement, from the last values to the first: when a value is placed, everything it could be
// written straight into has been.
#include "anemone/engine/cpu/placement.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/engine/cpu/views.h"

namespace anemone::cpu {
namespace {

// How many values are tried as the one that lies row-major.
constexpr std::size_t kMaxAnchors = 8;

bool is_view_group(const GroupGraph& graph, const Group& group) {
  return group.fusion == nullptr && group.ops.size() == 1 &&
         view_rule(graph.function(), graph.op(group.ops.front())) != nullptr;
}
bool is_concat_group(const GroupGraph& graph, const Group& group) {
  return group.fusion == nullptr && group.ops.size() == 1 &&
         is_concat(graph.function(), graph.op(group.ops.front()));
}

// A value and all views of it: a tree.
struct Edge {
  mil::Value from, to;
  int group = -1, result = 0;
};

// One way to lay out a tree.
struct Trial {
  int storage = -1;  // -1: a new one
  std::vector<std::optional<Layout>>
      layouts;        // per member; nothing below an edge that needs a copy
  double copied = 0;  // elements
};

class Placer {
 public:
  Placer(const GroupGraph& graph, const std::vector<int>& order, ConstantLayouts constant_layout)
      : graph_(graph),
        function_(graph.function()),
        constant_layout_(constant_layout),
        views_(function_.values.size()),
        edge_to_(function_.values.size()),
        member_(function_.values.size()),
        wishes_(function_.values.size()),
        order_(order) {
    result_.places.resize(function_.values.size());
  }

  Placement run() {
    make_ports();
    collect_views();
    for (auto it = order_.rbegin(); it != order_.rend(); ++it) place_results_of(*it);
    for (const mil::Value value : function_.inputs) place_fixed(value);
    place_constants();
    std::stable_sort(result_.copies.begin(), result_.copies.end(),
                     [](const PlacedCopy& a, const PlacedCopy& b) {
                       return std::pair(a.group, a.phase) < std::pair(b.group, b.phase);
                     });
    return std::move(result_);
  }

 private:
  static std::size_t at(mil::Value value) { return static_cast<std::size_t>(value.index); }
  const Shape& shape(mil::Value value) const { return function_.type(value).shape; }

  int new_storage(Storage::Kind kind, int index, DType dtype, std::int64_t elements) {
    result_.storages.push_back({kind, index, dtype, elements});
    return static_cast<int>(result_.storages.size()) - 1;
  }

  void make_ports() {
    for (std::size_t i = 0; i < function_.inputs.size(); ++i) {
      const mil::Value value = function_.inputs[i];
      inputs_.push_back(new_storage(Storage::Kind::input, static_cast<int>(i),
                                    function_.type(value).dtype, shape(value).elements()));
    }
    for (std::size_t i = 0; i < function_.outputs.size(); ++i) {
      const mil::Value value = function_.outputs[i];
      const Place place{new_storage(Storage::Kind::output, static_cast<int>(i),
                                    function_.type(value).dtype, shape(value).elements()),
                        Layout::contiguous(shape(value))};
      wish(value, place, graph_.producer(value), PlacedCopy::Phase::output,
           "an output that cannot be written in place");
    }
  }

  // Asks for `value` to lie at `place`; if it cannot, it is copied there after `group`.
  void wish(mil::Value value, const Place& place, int group, PlacedCopy::Phase phase,
            const char* reason) {
    wishes_[at(value)].push_back(
        {value, {}, place, function_.type(value).dtype, group, phase, reason});
  }

  void collect_views() {
    for (const int index : order_) {
      const Group& group = graph_.group(index);
      if (!is_view_group(graph_, group)) continue;
      const mil::Operation& op = graph_.op(group.ops.front());
      const mil::Value from = op.arguments.front().front();
      for (std::size_t i = 0; i < op.results.size(); ++i) {
        const Edge edge{from, op.results[i], index, static_cast<int>(i)};
        views_[at(from)].push_back(edge);
        edge_to_[at(edge.to)] = edge;
      }
    }
  }

  void place_results_of(int index) {
    const Group& group = graph_.group(index);
    if (is_view_group(graph_, group)) return;  // placed with what they are views of
    for (const mil::Value value : group.outputs) place_tree(value);
    if (is_concat_group(graph_, group)) wish_for_parts(index);
  }

  void wish_for_parts(int index) {
    const mil::Operation& op = graph_.op(graph_.group(index).ops.front());
    const mil::OpContext context(mil::op_def(op.kind), function_, op);
    const Place whole = result_.of(op.results.front());
    int part = 0;
    for (const mil::Value value :
         op.arguments[static_cast<std::size_t>(context.def().find_param("values"))]) {
      wish(value, {whole.storage, concat_part(context, part++, whole.layout)}, index,
           PlacedCopy::Phase::part, "a part of a concat that cannot be written in place");
    }
  }

  void place_fixed(mil::Value root) {
    const auto found = std::find(function_.inputs.begin(), function_.inputs.end(), root);
    const auto port = static_cast<std::size_t>(found - function_.inputs.begin());
    place_at(root, {inputs_[port], Layout::contiguous(shape(root))});
  }

  void place_constants() {
    for (std::size_t i = 0; i < function_.ops.size(); ++i) {
      const mil::Operation& op = function_.ops[i];
      if (op.kind != mil::OpKind::const_) continue;
      const mil::Value root = op.results.front();
      const mil::Type& type = function_.type(root);
      if (!type.is_tensor() || dtype_size(type.dtype) == 0) continue;
      if (graph_.readers(root).empty() && !graph_.is_output(root)) continue;
      const int storage =
          new_storage(Storage::Kind::constant, root.index, type.dtype, type.shape.elements());
      place_at(root, {storage, constant_layout_(function_, root)});
    }
  }

  // The tree below a root, parents first.
  std::vector<Edge> tree_of(mil::Value root) const {
    std::vector<Edge> edges;
    std::vector<mil::Value> open = {root};
    while (!open.empty()) {
      const mil::Value value = open.back();
      open.pop_back();
      for (const Edge& edge : views_[at(value)]) {
        edges.push_back(edge);
        open.push_back(edge.to);
      }
    }
    return edges;
  }

  mil::OpContext context_of(const Edge& edge) const {
    const mil::Operation& op = graph_.op(graph_.group(edge.group).ops.front());
    return {mil::op_def(op.kind), function_, op};
  }
  const ViewRule& rule_of(const Edge& edge) const {
    return *view_rule(function_, graph_.op(graph_.group(edge.group).ops.front()));
  }

  std::optional<Layout> forward(const Edge& edge, const Layout& in) const {
    return rule_of(edge).forward(context_of(edge), edge.result, in);
  }

  // Where the root must lie for `value` to lie at `layout`.
  std::optional<Layout> root_layout(mil::Value root, mil::Value value, Layout layout) const {
    while (!(value == root)) {
      const Edge& edge = edge_to_[at(value)];
      const ViewRule& rule = rule_of(edge);
      if (rule.backward == nullptr) return std::nullopt;
      const std::optional<Layout> before = rule.backward(context_of(edge), layout);
      if (!before.has_value()) return std::nullopt;
      layout = *before;
      value = edge.from;
    }
    return layout;
  }

  Trial try_layout(const Place& place, mil::Value root, const std::vector<Edge>& edges) {
    Trial trial;
    trial.storage = place.storage;
    trial.layouts.resize(edges.size() + 1);
    trial.layouts[0] = place.layout;
    member_[at(root)] = 0;
    count_wishes(root, trial, 0);
    for (std::size_t i = 0; i < edges.size(); ++i) {
      member_[at(edges[i].to)] = i + 1;
      const std::optional<Layout>& in = trial.layouts[member_[at(edges[i].from)]];
      if (!in.has_value()) continue;  // placed with the copy above it
      trial.layouts[i + 1] = forward(edges[i], *in);
      if (trial.layouts[i + 1].has_value()) {
        count_wishes(edges[i].to, trial, i + 1);
      } else {
        trial.copied += static_cast<double>(shape(edges[i].to).elements());
      }
    }
    return trial;
  }

  void count_wishes(mil::Value value, Trial& trial, std::size_t member) const {
    for (const PlacedCopy& wish : wishes_[at(value)]) {
      if (wish.to.storage == trial.storage && same_places(wish.to.layout, *trial.layouts[member]))
        continue;
      trial.copied += static_cast<double>(shape(value).elements());
    }
  }

  void place_tree(mil::Value root) {
    const std::vector<Edge> edges = tree_of(root);
    std::vector<mil::Value> members = {root};
    for (const Edge& edge : edges) members.push_back(edge.to);

    std::optional<Trial> best;
    const auto consider = [&](int storage, mil::Value anchor, const Layout& layout) {
      const std::optional<Layout> at_root = root_layout(root, anchor, layout);
      if (!at_root.has_value()) return;
      Trial trial = try_layout({storage, *at_root}, root, edges);
      if (!best.has_value() || trial.copied < best->copied) best = std::move(trial);
    };
    std::size_t wished = 0;
    for (const mil::Value member : members) {
      for (const PlacedCopy& wish : wishes_[at(member)]) {
        if (wished++ < kMaxAnchors) consider(wish.to.storage, member, wish.to.layout);
      }
    }
    for (std::size_t i = 0; i < std::min(members.size(), kMaxAnchors); ++i) {
      if (best.has_value() && best->copied == 0) break;
      consider(-1, members[i], Layout::contiguous(shape(members[i])));
    }
    commit(root, edges, *best);
  }

  void place_at(mil::Value root, const Place& place) {
    const std::vector<Edge> edges = tree_of(root);
    commit(root, edges, try_layout(place, root, edges));
  }

  void commit(mil::Value root, const std::vector<Edge>& edges, const Trial& trial) {
    int storage = trial.storage;
    if (storage < 0) {
      storage = new_storage(Storage::Kind::scratch, 0, function_.type(root).dtype,
                            shape(root).elements());
    }
    settle(root, {storage, *trial.layouts[0]});
    std::vector<Edge> broken;
    for (std::size_t i = 0; i < edges.size(); ++i) {
      if (trial.layouts[i + 1].has_value()) {
        settle(edges[i].to, {storage, *trial.layouts[i + 1]});
      } else if (result_.of(edges[i].from).storage == storage) {
        broken.push_back(edges[i]);
      }
    }
    // What is no view of its argument is a root of its own, filled by a copy.
    for (const Edge& edge : broken) {
      place_tree(edge.to);
      fill(edge);
    }
  }

  // The copy sees its target under the shape of its source; where that is impossible (a part of a
  // concat, say) it goes through a row-major temporary.
  void fill(const Edge& edge) {
    const DType dtype = function_.type(edge.to).dtype;
    const auto copy = [&](const Place& from, const Place& to) {
      result_.copies.push_back({edge.to, from, to, dtype, edge.group, PlacedCopy::Phase::view,
                                "strides cannot express this view"});
    };
    const Place& from = result_.of(edge.from);
    const Place& to = result_.of(edge.to);
    const std::optional<Layout> back = rule_of(edge).backward(context_of(edge), to.layout);
    if (back.has_value()) {
      copy(from, {to.storage, *back});
      return;
    }
    const int temporary = new_storage(Storage::Kind::scratch, 0, dtype, shape(edge.to).elements());
    copy(from, {temporary, Layout::contiguous(from.layout.shape)});
    copy({temporary, Layout::contiguous(to.layout.shape)}, to);
  }

  // Fixes a value's place, and copies it to where else it is wanted.
  void settle(mil::Value value, const Place& place) {
    result_.places[at(value)] = place;
    for (PlacedCopy& wish : wishes_[at(value)]) {
      if (wish.to.storage == place.storage && same_places(wish.to.layout, place.layout)) continue;
      wish.from = place;
      result_.copies.push_back(std::move(wish));
    }
    wishes_[at(value)].clear();
  }

  const GroupGraph& graph_;
  const mil::Function& function_;
  ConstantLayouts constant_layout_;
  std::vector<std::vector<Edge>> views_;         // by the value viewed
  std::vector<Edge> edge_to_;                    // by the view
  std::vector<std::size_t> member_;              // by value: its number in the tree being placed
  std::vector<std::vector<PlacedCopy>> wishes_;  // by value: places it should have
  std::vector<int> inputs_;                      // storages
  const std::vector<int>& order_;
  Placement result_;
};

}  // namespace

Placement place_values(const GroupGraph& graph, const std::vector<int>& order,
                       ConstantLayouts constant_layout) {
  return Placer(graph, order, constant_layout).run();
}

}  // namespace anemone::cpu
