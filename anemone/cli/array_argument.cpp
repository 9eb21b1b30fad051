// Arrays from and to .npy files, and made-up ones.
#include "anemone/cli/array_argument.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include "anemone/base/element.h"
#include "anemone/base/error.h"
#include "anemone/base/npy.h"
#include "anemone/cli/command.h"

namespace anemone::cli {
namespace {

std::string type_text(DType dtype, const Shape& shape) {
  return fmt::format("{} {}", dtype_name(dtype), shape.to_string());
}

std::vector<double> read_values(const engine::Port& port, const std::string& path,
                                std::vector<std::string>& notes) {
  const NpyArray array = read_npy(path);
  if (!(array.shape == port.shape)) {
    throw Error(fmt::format("an array {}", type_text(array.dtype, array.shape)), path,
                fmt::format("{} for input '{}'", type_text(port.dtype, port.shape), port.name));
  }
  std::vector<double> values(static_cast<std::size_t>(port.shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = load_element(array.dtype, array.data.data(), i);
  }
  if (array.dtype == port.dtype) return values;
  const auto changed = std::find_if(values.begin(), values.end(), [&](double value) {
    return round_to(port.dtype, value) != value && !std::isnan(value);
  });
  if (changed == values.end()) return values;
  if (!is_float(array.dtype) || !is_float(port.dtype)) {
    throw Error(fmt::format("{:.6g} of type {} does not fit", *changed, dtype_name(array.dtype)),
                path, fmt::format("{} for input '{}'", dtype_name(port.dtype), port.name));
  }
  notes.push_back(fmt::format("{}: rounded from {} to {} for input '{}'", path,
                              dtype_name(array.dtype), dtype_name(port.dtype), port.name));
  return values;
}

// The same on every machine: no distribution of the standard library, whose results are its own.
std::vector<double> random_values(const engine::Port& port, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<double> values(static_cast<std::size_t>(port.shape.elements()));
  for (double& value : values) {
    const double unit = static_cast<double>(generator() >> 11) * 0x1p-53;  // [0, 1)
    value = is_float(port.dtype) ? 2 * unit - 1 : std::floor(2 * unit);
  }
  return values;
}

double parse_number(std::string_view value, const engine::Port& port) {
  const std::string text(value);
  char* end = nullptr;
  errno = 0;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') {
    throw UsageError("cannot take '" + text + "'", fmt::format("input '{}'", port.name),
                     kInputForms);
  }
  const double rounded = round_to(port.dtype, number);
  const bool infinite = std::isinf(number) ? errno == ERANGE : std::isinf(rounded);
  if (infinite || (!is_float(port.dtype) && rounded != number)) {
    throw UsageError(text + " does not fit", fmt::format("input '{}'", port.name),
                     std::string("a value of type ") + dtype_name(port.dtype));
  }
  return number;
}

}  // namespace

ArrayArgument parse_array_argument(std::string_view text, std::string_view flag,
                                   std::string_view forms) {
  const std::size_t equals = text.find('=');
  const auto fail = [&](const std::string& problem, std::string_view expected) {
    throw UsageError(problem, std::string(flag), std::string(expected));
  };
  if (equals == std::string_view::npos || equals == 0) {
    fail(fmt::format("cannot take '{}'", text), "NAME=VALUE");
  }
  const std::string_view value = text.substr(equals + 1);
  if (value.empty()) fail(fmt::format("there is nothing behind '{}'", text), forms);
  if (value == "@") fail(fmt::format("there is no file name behind '{}'", text), forms);
  return {std::string(text.substr(0, equals)), std::string(value)};
}

std::vector<double> make_values(const engine::Port& port, std::string_view value,
                                std::uint64_t seed, std::vector<std::string>& notes) {
  const auto count = static_cast<std::size_t>(port.shape.elements());
  if (value.starts_with('@')) return read_values(port, std::string(value.substr(1)), notes);
  if (value == "zeros") return std::vector<double>(count, 0.0);
  if (value == "random") return random_values(port, seed);
  return std::vector<double>(count, parse_number(value, port));
}

std::string summarize(const engine::Port& port, const std::vector<double>& values) {
  double least = std::numeric_limits<double>::infinity(), most = -least, sum = 0;
  std::size_t finite = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value;
    ++finite;
  }
  std::string text = fmt::format("{}: {}", port.name, type_text(port.dtype, port.shape));
  if (finite > 0) {
    text += fmt::format("  min {:.6g} max {:.6g} mean {:.6g}", least, most,
                        sum / static_cast<double>(finite));
  }
  if (finite < values.size()) text += fmt::format("  {} NOT FINITE", values.size() - finite);
  return text;
}

void write_values(const engine::Port& port, const std::vector<double>& values,
                  std::string_view path, std::vector<std::string>& notes) {
  DType dtype = port.dtype;
  if (dtype == DType::bf16) {
    dtype = DType::fp32;
    notes.push_back(fmt::format("{}: bf16 written as fp32, which NumPy has", path));
  }
  std::vector<std::byte> data(values.size() * dtype_size(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) store_element(dtype, data.data(), i, values[i]);
  const Status status = write_npy(std::string(path), dtype, port.shape, data);
  if (!status.ok()) throw Error(status.message);
}

}  // namespace anemone::cli
