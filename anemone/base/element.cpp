// Element access by type, one place for every conversion that needs no speed.
#include "anemone/base/element.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "anemone/base/error.h"

namespace anemone {
namespace {

template <class T>
T saturate(double value) {
  if (std::isnan(value)) return 0;
  // The bounds of 64-bit types are not doubles: compare before converting.
  if (value <= static_cast<double>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  if (value >= static_cast<double>(std::numeric_limits<T>::max()))
    return std::numeric_limits<T>::max();
  return static_cast<T>(value);
}

// Calls visit(T{}) with the storage type of `type`.
template <class Visit>
auto with_storage(DType type, Visit visit) {
  switch (type) {
    case DType::boolean:
      return visit(bool{});
    case DType::fp16:
      return visit(f16{});
    case DType::bf16:
      return visit(bf16{});
    case DType::fp32:
      return visit(float{});
    case DType::fp64:
      return visit(double{});
    case DType::int8:
      return visit(std::int8_t{});
    case DType::int16:
      return visit(std::int16_t{});
    case DType::int32:
      return visit(std::int32_t{});
    case DType::int64:
      return visit(std::int64_t{});
    case DType::uint8:
      return visit(std::uint8_t{});
    case DType::uint16:
      return visit(std::uint16_t{});
    case DType::uint32:
      return visit(std::uint32_t{});
    case DType::uint64:
      return visit(std::uint64_t{});
    case DType::string:
      break;
  }
  ANEMONE_CHECK(false, "a numeric element type");
  return visit(double{});
}

double widen(bool value) { return value ? 1 : 0; }
double widen(f16 value) { return static_cast<double>(to_float(value)); }
double widen(bf16 value) { return static_cast<double>(to_float(value)); }
template <class T>
double widen(T value) {
  return static_cast<double>(value);
}

template <class T>
T narrow(double value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (std::is_same_v<T, f16>) {
    return f16_from_double(value);
  } else if constexpr (std::is_same_v<T, bf16>) {
    return bf16_from_float(static_cast<float>(value));
  } else if constexpr (std::is_integral_v<T>) {
    return saturate<T>(value);
  } else {
    return static_cast<T>(value);
  }
}

}  // namespace

double load_element(DType type, const std::byte* data, std::size_t index) {
  return with_storage(type, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, bool>) return data[index] != std::byte{0} ? 1.0 : 0.0;
    T value;
    std::memcpy(&value, data + index * sizeof(T), sizeof(T));
    return widen(value);
  });
}

void store_element(DType type, std::byte* data, std::size_t index, double value) {
  with_storage(type, [&](auto zero) {
    using T = decltype(zero);
    const T stored = narrow<T>(value);
    std::memcpy(data + index * sizeof(T), &stored, sizeof(T));
    return 0;
  });
}

double round_to(DType type, double value) {
  return with_storage(type, [&](auto zero) { return widen(narrow<decltype(zero)>(value)); });
}

void load_elements(DType type, const std::byte* data, std::span<double> values) {
  with_storage(type, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_same_v<T, bool>) {
        values[i] = data[i] != std::byte{0} ? 1.0 : 0.0;
      } else {
        T value;
        std::memcpy(&value, data + i * sizeof(T), sizeof(T));
        values[i] = widen(value);
      }
    }
    return 0;
  });
}

void store_elements(DType type, std::byte* data, std::span<const double> values) {
  with_storage(type, [&](auto zero) {
    using T = decltype(zero);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const T stored = narrow<T>(values[i]);
      std::memcpy(data + i * sizeof(T), &stored, sizeof(T));
    }
    return 0;
  });
}

void round_all_to(DType type, std::span<double> values) {
  with_storage(type, [&](auto zero) {
    for (double& value : values) value = widen(narrow<decltype(zero)>(value));
    return 0;
  });
}

}  // namespace anemone
