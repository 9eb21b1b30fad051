// Look-ups for lowerings.
#include "anemone/engine/cpu/lower/context.h"

#include "anemone/base/error.h"

namespace anemone::cpu {

const mil::Operation& LowerContext::op(std::size_t index) const {
  return function_.ops[static_cast<std::size_t>(group_.ops[index])];
}

mil::OpContext LowerContext::op_context(std::size_t index) const {
  return {mil::op_def(op(index).kind), function_, op(index)};
}

mil::Value LowerContext::argument(std::string_view param, std::size_t index) const {
  const int number = mil::op_def(op(index).kind).find_param(param);
  ANEMONE_CHECK(number >= 0, "a parameter of the definition");
  const auto& arguments = op(index).arguments;
  const auto i = static_cast<std::size_t>(number);
  mil::Value value;
  if (i < arguments.size() && !arguments[i].empty()) value = arguments[i].front();
  for (const auto& [from, to] : group_.replaced) {
    if (value == from) value = to;
  }
  return value;
}

const Layout& LowerContext::layout(mil::Value value) const { return placement_.of(value).layout; }

double LowerContext::bytes(mil::Value value) const {
  return static_cast<double>(shape(value).elements()) *
         static_cast<double>(dtype_size(dtype(value)));
}

Operand LowerContext::operand(mil::Value value) const {
  const Place& place = placement_.of(value);
  ANEMONE_CHECK(place.valid(), "a value that a step uses lies in memory");
  const auto size = static_cast<std::ptrdiff_t>(dtype_size(dtype(value)));
  return {place.storage, place.layout.offset * size};
}

Operand LowerContext::read(mil::Value value, Step& step) const {
  const Operand operand = this->operand(value);
  step.reads.push_back(operand.storage);
  step.bytes += bytes(value);
  return operand;
}

Operand LowerContext::write(mil::Value value, Step& step) const {
  const Operand operand = this->operand(value);
  step.writes.push_back(operand.storage);
  step.bytes += bytes(value);
  return operand;
}

void LowerContext::allow_in_place(mil::Value operand, mil::Value result, Step& step) const {
  const Place &from = placement_.of(operand), &to = placement_.of(result);
  if (dtype(operand) == dtype(result) && same_places(from.layout, to.layout))
    step.in_place.emplace_back(from.storage, to.storage);
}

mil::Value LowerContext::constant_behind(mil::Value value) const {
  const Place& place = placement_.of(value);
  if (!place.valid()) return {};
  const Storage& storage = placement_.storages[static_cast<std::size_t>(place.storage)];
  return storage.kind == Storage::Kind::constant ? mil::Value{storage.index} : mil::Value{};
}

}  // namespace anemone::cpu
