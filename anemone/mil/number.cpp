// Integers by std::from_chars; hex floats by hand (they are what Core ML writes, and the standard
// library of macOS has no from_chars for them); decimal fractions by whatever is exact there.
#include "anemone/mil/number.h"

#include <fmt/format.h>
#include <locale.h>
#include <stdlib.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "anemone/base/element.h"

#if !defined(__cpp_lib_to_chars)
#include <xlocale.h>
#endif

namespace anemone::mil {
namespace {

std::string not_a_number(std::string_view text, DType type) {
  constexpr std::size_t kShown = 40;
  return fmt::format("'{}{}' is not a number of type {}", text.substr(0, kShown),
                     text.size() > kShown ? "…" : "", dtype_name(type));
}

// "1.8p-3" (behind 0x), rounded to nearest even if it has more than 64 significant bits.
bool read_hex_float(std::string_view text, double& value) {
  std::uint64_t significand = 0;
  int exponent = 0;
  std::size_t i = 0, digits = 0;
  bool fraction = false, sticky = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !fraction) {
      fraction = true;
      continue;
    }
    const int digit = hex_digit(text[i]);
    if (digit < 0) break;
    ++digits;
    if (significand >> 60 == 0) {
      significand = significand << 4 | static_cast<unsigned>(digit);
      exponent -= fraction ? 4 : 0;
    } else {
      sticky |= digit != 0;
      exponent += fraction ? 0 : 4;
    }
  }
  if (digits == 0 || digits > 1000) return false;
  if (i < text.size()) {
    if (text[i] != 'p' && text[i] != 'P') return false;
    ++i;
    if (i < text.size() && text[i] == '+') ++i;
    int written = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), written);
    if (error != std::errc{} || end != text.data() + text.size()) return false;
    if (written < -100000 || written > 100000) return false;
    exponent += written;
  }
  // The conversion to double rounds a 64-bit significand to nearest even; the sticky bit keeps what
  // was cut off from looking like a tie.
  value = std::ldexp(static_cast<double>(significand | (sticky ? 1u : 0u)), exponent);
  return true;
}

bool read_decimal(std::string_view text, double& value) {
#if defined(__cpp_lib_to_chars)
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
#else
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  const std::string terminated(text);
  char* end = nullptr;
  value = strtod_l(terminated.c_str(), &end, c_locale);
  return end == terminated.c_str() + terminated.size();
#endif
}

bool read_double(std::string_view text, double& value) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.front() == '-' || text.front() == '+') return false;
  if (text == "inf") {
    value = std::numeric_limits<double>::infinity();
  } else if (text == "nan") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else if (text.starts_with("0x")) {
    if (!read_hex_float(text.substr(2), value)) return false;
  } else if ((text.front() < '0' || text.front() > '9') || !read_decimal(text, value)) {
    return false;
  }
  if (negative) value = -value;
  return true;
}

std::string read_float(std::string_view text, DType type, std::byte* out) {
  double value = 0;
  if (!read_double(text, value)) return not_a_number(text, type);
  store_element(type, out, 0, value);
  if (std::isfinite(value) && !std::isfinite(load_element(type, out, 0))) {
    return fmt::format("{} is too large for {}", text, dtype_name(type));
  }
  return {};
}

template <class T>
std::string read_integer(std::string_view text, DType type, std::byte* out) {
  T value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error == std::errc{} && end == last) {
    std::memcpy(out, &value, sizeof value);
    return {};
  }
  const bool digits = text.find_first_not_of("-0123456789") == std::string_view::npos &&
                      text.find('-', 1) == std::string_view::npos && text != "-";
  if (!digits) return not_a_number(text, type);
  constexpr std::size_t kShown = 40;
  return fmt::format("{}{} is out of range for {} (allowed: {}..{})", text.substr(0, kShown),
                     text.size() > kShown ? "…" : "", dtype_name(type),
                     std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
}

}  // namespace

std::string read_number(std::string_view text, DType type, std::byte* out) {
  switch (type) {
    case DType::boolean:
      if (text != "true" && text != "false") {
        return fmt::format("'{}' is not a bool (expected true or false)", text.substr(0, 40));
      }
      out[0] = static_cast<std::byte>(text == "true");
      return {};
    case DType::fp16:
    case DType::bf16:
    case DType::fp32:
    case DType::fp64:
      return read_float(text, type, out);
    case DType::int8:
      return read_integer<std::int8_t>(text, type, out);
    case DType::int16:
      return read_integer<std::int16_t>(text, type, out);
    case DType::int32:
      return read_integer<std::int32_t>(text, type, out);
    case DType::int64:
      return read_integer<std::int64_t>(text, type, out);
    case DType::uint8:
      return read_integer<std::uint8_t>(text, type, out);
    case DType::uint16:
      return read_integer<std::uint16_t>(text, type, out);
    case DType::uint32:
      return read_integer<std::uint32_t>(text, type, out);
    case DType::uint64:
      return read_integer<std::uint64_t>(text, type, out);
    case DType::string:
      break;
  }
  return "a number where a string is expected";
}

}  // namespace anemone::mil
