// Ports to and from row-major arrays.
#include "anemone/engine/surface.h"

#include <vector>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/base/strided_loop.h"

namespace anemone::engine {
namespace {

// Calls visit(element in the surface, row-major index, count, step in the surface) for runs of
// elements.
template <class Visit>
void for_each_port_run(const Port& port, Visit visit) {
  for_each_run<2>(port.shape, {port.strides, contiguous_strides(port.shape)},
                  [&](const auto& at, std::int64_t count, const auto& step) {
                    visit(at[0], static_cast<std::size_t>(at[1]), static_cast<std::size_t>(count),
                          step[0], static_cast<std::size_t>(step[1]));
                  });
}

void check_size(const Port& port, std::size_t size) {
  if (static_cast<std::size_t>(port.shape.elements()) == size) return;
  throw Error(std::to_string(size) + " values for " + port.name, {},
              std::to_string(port.shape.elements()) + " of shape " + port.shape.to_string());
}

template <class T>
void read(const std::byte* surface, const Port& port, std::span<T> values) {
  check_size(port, values.size());
  const std::byte* data = surface + port.offset_bytes;
  const std::size_t size = dtype_size(port.dtype);
  std::vector<double> run;
  for_each_port_run(port, [&](std::int64_t at, std::size_t index, std::size_t count,
                              std::int64_t step, std::size_t to) {
    if (step == 1) {
      run.resize(count);
      load_elements(port.dtype, data + static_cast<std::size_t>(at) * size, run);
      for (std::size_t i = 0; i < count; ++i) values[index + i * to] = static_cast<T>(run[i]);
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t element = at + static_cast<std::int64_t>(i) * step;
      values[index + i * to] =
          static_cast<T>(load_element(port.dtype, data, static_cast<std::size_t>(element)));
    }
  });
}

template <class T>
void write(std::byte* surface, const Port& port, std::span<const T> values) {
  check_size(port, values.size());
  std::byte* data = surface + port.offset_bytes;
  const std::size_t size = dtype_size(port.dtype);
  std::vector<double> run;
  for_each_port_run(port, [&](std::int64_t at, std::size_t index, std::size_t count,
                              std::int64_t step, std::size_t from) {
    if (step == 1) {
      run.resize(count);
      for (std::size_t i = 0; i < count; ++i)
        run[i] = static_cast<double>(values[index + i * from]);
      store_elements(port.dtype, data + static_cast<std::size_t>(at) * size, run);
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t element = at + static_cast<std::int64_t>(i) * step;
      store_element(port.dtype, data, static_cast<std::size_t>(element),
                    static_cast<double>(values[index + i * from]));
    }
  });
}

}  // namespace

bool Port::same_layout(const Port& other) const {
  if (dtype != other.dtype || !(shape == other.shape)) return false;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto i = static_cast<std::size_t>(axis);
    if (shape[axis] > 1 && strides[i] != other.strides[i]) return false;
  }
  return true;
}

void read_port(const std::byte* surface, const Port& port, std::span<double> values) {
  read(surface, port, values);
}
void write_port(std::byte* surface, const Port& port, std::span<const double> values) {
  write(surface, port, values);
}
void read_port(const std::byte* surface, const Port& port, std::span<float> values) {
  read(surface, port, values);
}
void write_port(std::byte* surface, const Port& port, std::span<const float> values) {
  write(surface, port, values);
}

}  // namespace anemone::engine
