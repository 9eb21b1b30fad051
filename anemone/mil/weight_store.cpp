// The map behind the weight store, with errors that say what is there.
#include "anemone/mil/weight_store.h"

#include <utility>

#include "anemone/base/error.h"

namespace anemone::mil {

void WeightStore::add(std::string name, Shape shape, std::span<const float> values) {
  const auto count = shape.checked_elements();
  if (!count.has_value() || static_cast<std::size_t>(*count) != values.size()) {
    throw Error("weight " + name + " of shape " + shape.to_string() + " got " +
                std::to_string(values.size()) + " values");
  }
  const auto [place, added] = tensors_.try_emplace(std::move(name), Tensor{shape, values});
  if (!added) throw Error("there are two weights called " + place->first);
}

const WeightStore::Tensor* WeightStore::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const WeightStore::Tensor& WeightStore::get(std::string_view name) const {
  if (const Tensor* tensor = find(name)) return *tensor;
  constexpr std::size_t kShown = 12;
  std::string names;
  std::size_t shown = 0;
  for (const auto& entry : tensors_) {
    if (shown++ == kShown) {
      names += ", … (" + std::to_string(tensors_.size()) + " in all)";
      break;
    }
    names += (names.empty() ? "" : ", ") + entry.first;
  }
  throw Error("there is no weight called " + std::string(name), {},
              names.empty() ? "none: the store is empty" : "one of " + names);
}

}  // namespace anemone::mil
