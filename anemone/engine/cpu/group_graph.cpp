// Merging groups without making cycles, and ordering what is left.
#include "anemone/engine/cpu/group_graph.h"

#include <algorithm>
#include <queue>

#include "anemone/base/error.h"

namespace anemone::cpu {
namespace {

// How many groups a search for a cycle visits before it gives up and forbids the merge: keeps
// compilation linear for programs of any size.
constexpr int kMaxVisits = 4096;

template <class T>
void add_once(std::vector<T>& values, T value) {
  if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
}

bool before(mil::Value a, mil::Value b) { return a.index < b.index; }
bool before(int a, int b) { return a < b; }

template <class T>
void keep_one_of_each(std::vector<T>& values) {
  std::sort(values.begin(), values.end(), [](T a, T b) { return before(a, b); });
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

GroupGraph::GroupGraph(const mil::Function& function, mil::ConstantSource& source)
    : function_(function),
      source_(source),
      group_of_op_(function.ops.size(), -1),
      readers_(function.values.size()),
      is_output_(function.values.size(), 0) {
  for (const mil::Value value : function.outputs)
    is_output_[static_cast<std::size_t>(value.index)] = 1;
  for (std::size_t i = 0; i < function.ops.size(); ++i) {
    const mil::Operation& op = function.ops[i];
    if (op.kind == mil::OpKind::const_) continue;
    const int index = static_cast<int>(groups_.size());
    group_of_op_[i] = index;
    Group group;
    group.ops = {static_cast<int>(i)};
    for (const auto& argument : op.arguments)
      group.inputs.insert(group.inputs.end(), argument.begin(), argument.end());
    keep_one_of_each(group.inputs);
    group.outputs = op.results;
    for (const mil::Value value : group.inputs)
      readers_[static_cast<std::size_t>(value.index)].push_back(index);
    groups_.push_back(std::move(group));
  }
}

std::span<const std::byte> GroupGraph::constant_bytes(const mil::Constant& constant,
                                                      std::vector<std::byte>& scratch) const {
  if (constant.weight() != nullptr || constant.has_strings()) return {};
  return source_.bytes(constant, scratch);
}

int GroupGraph::producer(mil::Value value) const {
  const int op = function_.info(value).op;
  return op < 0 ? -1 : group_of_op_[static_cast<std::size_t>(op)];
}

const std::vector<int>& GroupGraph::readers(mil::Value value) const {
  return readers_[static_cast<std::size_t>(value.index)];
}

bool GroupGraph::only_reader(mil::Value value, int reader) const {
  const std::vector<int>& all = readers(value);
  return !is_output(value) && all.size() == 1 && all.front() == reader;
}

void GroupGraph::add_reader(mil::Value value, int group) {
  std::vector<int>& all = readers_[static_cast<std::size_t>(value.index)];
  const auto at = std::lower_bound(all.begin(), all.end(), group);
  if (at == all.end() || *at != group) all.insert(at, group);
}

void GroupGraph::remove_reader(mil::Value value, int group) {
  std::vector<int>& all = readers_[static_cast<std::size_t>(value.index)];
  const auto at = std::lower_bound(all.begin(), all.end(), group);
  if (at != all.end() && *at == group) all.erase(at);
}

bool GroupGraph::merge_makes_cycle(int producer, int consumer) const {
  // A path producer -> … -> consumer through a third group. Searched backwards; a group can only
  // depend on the producer if its last operation comes after the producer's first.
  const int oldest = group(producer).ops.front();
  std::vector<char> seen(groups_.size(), 0);
  std::vector<int> open;
  const auto visit_inputs = [&](int index, bool skip_producer) {
    for (const mil::Value value : group(index).inputs) {
      const int source = this->producer(value);
      if (source < 0 || seen[static_cast<std::size_t>(source)]) continue;
      if (source == producer) {
        if (!skip_producer) return true;
        continue;
      }
      if (group(source).last_op() < oldest) continue;
      seen[static_cast<std::size_t>(source)] = 1;
      open.push_back(source);
    }
    return false;
  };
  visit_inputs(consumer, /*skip_producer=*/true);
  for (int visits = 0; !open.empty(); ++visits) {
    if (visits == kMaxVisits) return true;
    const int index = open.back();
    open.pop_back();
    if (visit_inputs(index, /*skip_producer=*/false)) return true;
  }
  return false;
}

bool GroupGraph::joining_makes_cycle(const std::vector<int>& members) const {
  int oldest = group(members.front()).ops.front();
  for (const int member : members) oldest = std::min(oldest, group(member).ops.front());
  const auto is_member = [&](int index) {
    return std::find(members.begin(), members.end(), index) != members.end();
  };
  std::vector<char> seen(groups_.size(), 0);
  std::vector<int> open;
  // Says whether a group outside reads what a member writes.
  const auto visit_inputs = [&](int index) {
    for (const mil::Value value : group(index).inputs) {
      const int source = producer(value);
      if (source < 0) continue;
      if (is_member(source)) {
        if (!is_member(index)) return true;
        continue;
      }
      if (seen[static_cast<std::size_t>(source)] || group(source).last_op() < oldest) continue;
      seen[static_cast<std::size_t>(source)] = 1;
      open.push_back(source);
    }
    return false;
  };
  for (const int member : members) visit_inputs(member);
  for (int visits = 0; !open.empty(); ++visits) {
    if (visits == kMaxVisits) return true;
    const int index = open.back();
    open.pop_back();
    if (visit_inputs(index)) return true;
  }
  return false;
}

void GroupGraph::set_operands(int index, const std::vector<mil::Value>& inputs,
                              const std::vector<mil::Value>& outputs) {
  const std::vector<mil::Value> before = group(index).inputs;
  for (const mil::Value value : before) drop_input(index, value);
  for (const mil::Value value : inputs) {
    add_reader(value, index);
    add_once(group(index).inputs, value);
  }
  group(index).outputs = outputs;
}

// `consumer` reads what `producer` reads and computes what it computes.
void GroupGraph::take_over(int producer, int consumer) {
  const Group& from = group(producer);
  Group& into = group(consumer);
  for (const mil::Value value : from.inputs) {
    add_reader(value, consumer);
    add_once(into.inputs, value);
  }
  for (const mil::Value value : from.outputs) drop_input(consumer, value);
  std::vector<int> ops;
  std::set_union(from.ops.begin(), from.ops.end(), into.ops.begin(), into.ops.end(),
                 std::back_inserter(ops));
  into.ops = std::move(ops);
}

void GroupGraph::merge(int producer, int consumer) {
  take_over(producer, consumer);
  Group& from = group(producer);
  for (const mil::Value value : from.inputs) remove_reader(value, producer);
  for (const mil::Value value : from.outputs) {
    if (is_output(value) || !readers(value).empty()) group(consumer).outputs.push_back(value);
  }
  for (const int op : from.ops) {
    int& owner = group_of_op_[static_cast<std::size_t>(op)];
    if (owner == producer) owner = consumer;  // not what the producer only repeats
  }
  from = {};
}

void GroupGraph::repeat_in(int producer, int consumer) { take_over(producer, consumer); }

void GroupGraph::drop_input(int index, mil::Value value) {
  remove_reader(value, index);
  std::erase(group(index).inputs, value);
}

void GroupGraph::rewire(int index, mil::Value from, mil::Value to) {
  drop_input(index, from);
  add_reader(to, index);
  add_once(group(index).inputs, to);
  group(index).replaced.emplace_back(from, to);
}

std::vector<char> GroupGraph::live_groups() const {
  std::vector<char> live(groups_.size(), 0);
  std::vector<int> open;
  const auto need = [&](mil::Value value) {
    const int source = producer(value);
    if (source < 0 || live[static_cast<std::size_t>(source)]) return;
    live[static_cast<std::size_t>(source)] = 1;
    open.push_back(source);
  };
  for (const mil::Value value : function_.outputs) need(value);
  while (!open.empty()) {
    const int index = open.back();
    open.pop_back();
    for (const mil::Value value : group(index).inputs) need(value);
  }
  return live;
}

std::vector<int> GroupGraph::schedule() const {
  const std::vector<char> live = live_groups();
  std::vector<int> missing(groups_.size(), 0);
  std::vector<std::vector<int>> after(groups_.size());
  // Ready groups, first in program order (by last operation) first.
  using Entry = std::pair<int, int>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  int count = 0;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    if (!live[i]) continue;
    ++count;
    std::vector<int> sources;
    for (const mil::Value value : groups_[i].inputs) {
      const int source = producer(value);
      if (source >= 0) sources.push_back(source);
    }
    keep_one_of_each(sources);
    missing[i] = static_cast<int>(sources.size());
    for (const int source : sources)
      after[static_cast<std::size_t>(source)].push_back(static_cast<int>(i));
    if (sources.empty()) ready.emplace(groups_[i].last_op(), static_cast<int>(i));
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int index = ready.top().second;
    ready.pop();
    order.push_back(index);
    for (const int next : after[static_cast<std::size_t>(index)]) {
      if (--missing[static_cast<std::size_t>(next)] == 0)
        ready.emplace(group(next).last_op(), next);
    }
  }
  ANEMONE_CHECK(static_cast<int>(order.size()) == count, "fusion makes no cycles");
  return order;
}

}  // namespace anemone::cpu
