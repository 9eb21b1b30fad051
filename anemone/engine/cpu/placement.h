// Decides where every value lies, so that as little as possible is copied.
//
// Values connected by views share one storage. A storage is laid out by what must lie somewhere:
// an output of the program (its surface), else a part of a concat, else whatever layout makes most
// views possible (a product whose transposition is reshaped is written transposed). What still
// needs a copy is listed with its reason.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "anemone/engine/cpu/group_graph.h"
#include "anemone/engine/cpu/layout.h"

namespace anemone::cpu {

struct Storage {
  enum class Kind : std::uint8_t { scratch, input, output, constant };
  Kind kind = Kind::scratch;
  int index = 0;  // input or output: of the function's; constant: of the value
  DType dtype = DType::fp32;
  std::int64_t elements = 0;
};

struct Place {
  int storage = -1;
  Layout layout;
  bool valid() const { return storage >= 0; }
};

struct PlacedCopy {
  mil::Value value;  // what is copied: for explain
  Place from, to;    // of one shape
  DType dtype = DType::fp32;
  int group = -1;  // after this group; -1: before all
  // Among the copies of one group: values are completed before they are copied on.
  enum class Phase : std::uint8_t { view, part, output } phase = Phase::view;
  std::string reason;
};

struct Placement {
  std::vector<Storage> storages;
  std::vector<Place> places;  // by value; invalid where a value is not in memory
  std::vector<PlacedCopy> copies;

  const Place& of(mil::Value value) const { return places[static_cast<std::size_t>(value.index)]; }
};

// Where constants lie before any view: usually row-major.
using ConstantLayouts = Layout (*)(const mil::Function& function, mil::Value value);

// `order`: the graph's schedule. Values of groups that are not in it get no place.
Placement place_values(const GroupGraph& graph, const std::vector<int>& order,
                       ConstantLayouts constant_layout);

}  // namespace anemone::cpu
