// The table of targets.
#include "anemone/engine/ane/target.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "anemone/base/error.h"

namespace anemone::engine::ane {
namespace {

constexpr Certainty kB = Certainty::B, kC = Certainty::C, kD = Certainty::D, kE = Certainty::E;

// Forms that one generation and its successors take, or do not.
constexpr Takes kTakesM1 = {
    .fp32_io = {false, kB, 28},
    .silu = {false, kE, 14},
    .rsqrt = {false, kE, 11},
    .reduce_mean = {false, kE, 10},
    .pow = {true, kD, 12},
    .sin_cos = {false, kC, 15},
    .blob_records = {false, kC, 45},
    .constant_matmul = {false, kD, 56},
    .narrow_broadcast = {false, kD, 46},
    .runtime_matmul = {false, kD, 38},
};
constexpr Takes kTakesM2 = {
    .fp32_io = {false, kB, 28},
    .silu = {false, kE, 14},
    .rsqrt = {false, kE, 11},
    .reduce_mean = {false, kE, 10},
    .pow = {true, kE, 12},
    .sin_cos = {true, kD, 15},
    .blob_records = {true, kE, 45},
    .constant_matmul = {true, kE, 56},
    .narrow_broadcast = {true, kE, 46},
    .runtime_matmul = {true, kE, 38},
};
constexpr Takes kTakesM3 = {
    .fp32_io = {true, kB, 28},
    .silu = {true, kC, 14},
    .rsqrt = {true, kB, 11},
    .reduce_mean = {true, kD, 10},
    .pow = {true, kB, 12},
    .sin_cos = {true, kD, 15},
    .blob_records = {true, kC, 45},
    .constant_matmul = {true, kC, 56},
    .narrow_broadcast = {true, kD, 46},
    .runtime_matmul = {true, kB, 38},
};

constexpr AxisLimits limits(std::int64_t transpose, std::int64_t kernel_width) {
  AxisLimits limits;
  limits.transpose = transpose;
  limits.kernel_width = kernel_width;
  return limits;
}

constexpr MacOs kOldest = {13, 0};

// program(…) and opset by generation and system: M1 and M2 want the canonical form of ios16.
struct Header {
  std::string_view version, opset;
};
constexpr Header header_for(int generation, MacOs macos) {
  if (generation <= 14 || macos.major <= 13) return {"1.0", "ios16"};
  if (macos.major == 14) return {"1.0", "ios17"};
  return {"1.3", "ios18"};
}

constexpr double kMega = 1e6, kTera = 1e12;

constexpr std::array kTargets = {
    Target{
        .name = "h13",
        .generation = 13,
        .chips = "M1, M1 Pro, M1 Max, M1 Ultra",
        .macos = {15, 0},
        .program_version = "1.0",
        .opset = "ios16",
        .takes = kTakesM1,
        .quirks = {.products_flush_subnormals = {true, kC, 77}, .width_slice_gain = {true, kC, 81}},
        .limits = limits(16384, 13),
        .resident_bytes = {2 * kMega, kC, 88},
        .working_set_bytes = {32 * kMega, kE, 88},
        .peak_flops = {4.8 * kTera, kC, 88}},
    Target{
        .name = "h14",
        .generation = 14,
        .chips = "M2, M2 Pro, M2 Max, M2 Ultra",
        .macos = {15, 0},
        .program_version = "1.0",
        .opset = "ios16",
        .takes = kTakesM2,
        .quirks = {.products_flush_subnormals = {true, kE, 77}, .width_slice_gain = {true, kD, 81}},
        .limits = limits(16384, 13),
        .resident_bytes = {2 * kMega, kE, 88},
        .working_set_bytes = {32 * kMega, kE, 88},
        .peak_flops = {}},
    Target{.name = "h15",
           .generation = 15,
           .chips = "M3, M3 Pro, M3 Max, M3 Ultra",
           .macos = {15, 0},
           .program_version = "1.3",
           .opset = "ios18",
           .takes = kTakesM3,
           .quirks = {.products_flush_subnormals = {true, kC, 77},
                      .width_slice_gain = {false, kC, 81}},
           .limits = limits(65536, 16),
           .resident_bytes = {2 * kMega, kE, 88},
           .working_set_bytes = {32 * kMega, kE, 88},
           .peak_flops = {16.8 * kTera, kC, 90}},
    Target{.name = "h16",
           .generation = 16,
           .chips = "M4, M4 Pro, M4 Max, M5",
           .macos = {15, 0},
           .program_version = "1.3",
           .opset = "ios18",
           .takes = kTakesM3,
           .quirks = {.products_flush_subnormals = {true, kD, 77},
                      .width_slice_gain = {false, kC, 81}},
           .limits = limits(65536, 16),
           .resident_bytes = {4.72 * kMega, kC, 88},
           .working_set_bytes = {32 * kMega, kC, 88},
           .peak_flops = {18.6 * kTera, kC, 29}},
    Target{.name = "h17",
           .generation = 17,
           .chips = "M5 Pro, M5 Max",
           .macos = {26, 0},
           .program_version = "1.3",
           .opset = "ios18",
           .takes = kTakesM3,
           .quirks = {.products_flush_subnormals = {false, kC, 77},
                      .width_slice_gain = {false, kC, 81}},
           .limits = limits(65536, 16),
           .resident_bytes = {4.72 * kMega, kE, 88},
           .working_set_bytes = {32 * kMega, kE, 88},
           .peak_flops = {19.3 * kTera, kC, 29}},
};

// "Apple M4 Pro" → "m4-pro"; "m4pro" → "m4-pro".
std::string normal_spelling(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    name += c == ' ' || c == '_' ? '-' : static_cast<char>(std::tolower(byte));
  }
  if (name.starts_with("apple-")) name.erase(0, 6);
  if (name.size() > 2 && name[0] == 'm' && name[1] >= '0' && name[1] <= '9' && name[2] >= 'a') {
    name.insert(2, "-");
  }
  return name;
}

// "h16", or with the letter that tells a chip of a generation from another: "h16g".
bool is_generation(std::string_view name, const Target& target) {
  if (!name.starts_with(target.name)) return false;
  const std::string_view rest = name.substr(target.name.size());
  return rest.empty() || (rest.size() == 1 && rest[0] >= 'a' && rest[0] <= 'z');
}

template <class Visit>
void for_each_chip(const Target& target, const Visit& visit) {
  std::string_view rest = target.chips;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    visit(normal_spelling(rest.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    rest.remove_prefix(comma + 2);
  }
}

bool matches(const std::string& name, const Target& target) {
  bool found = is_generation(name, target);
  for_each_chip(target, [&](const std::string& chip) { found |= chip == name; });
  return found;
}

}  // namespace

std::span<const Target> targets() { return kTargets; }

std::string spellings(const Target& target) {
  std::string text = std::string(target.name);
  for_each_chip(target, [&](const std::string& chip) { text += ", " + chip; });
  return text;
}

MacOs parse_macos(std::string_view text) {
  MacOs macos;
  const char* const end = text.data() + text.size();
  auto [rest, problem] = std::from_chars(text.data(), end, macos.major);
  if (problem == std::errc() && rest != end && *rest == '.') {
    const auto minor = std::from_chars(rest + 1, end, macos.minor);
    rest = minor.ptr;
    problem = minor.ec;
    // A third number, as in 26.3.1, changes nothing here.
    if (rest != end && *rest == '.' && rest + 1 != end) {
      rest = std::find_if(rest + 1, end, [](char c) { return c < '0' || c > '9'; });
    }
  }
  if (problem != std::errc() || rest != end || macos.major < kOldest.major) {
    throw Error("'" + std::string(text) + "' is not a version of macOS to compile for", {},
                "13 or later, as in 15 or 26.3");
  }
  return macos;
}

Target find_target(std::string_view name, std::string_view macos) {
  const std::string wanted = normal_spelling(name);
  const auto found = std::find_if(kTargets.begin(), kTargets.end(),
                                  [&](const Target& target) { return matches(wanted, target); });
  if (found == kTargets.end()) {
    std::string known;
    for (const Target& target : kTargets) {
      known += (known.empty() ? "" : "; ") + std::string(spellings(target));
    }
    throw Error("there is no Neural Engine target '" + std::string(name) + "'", {}, known);
  }
  Target target = *found;
  if (!macos.empty()) {
    target.macos = parse_macos(macos);
    const Header header = header_for(target.generation, target.macos);
    target.program_version = header.version;
    target.opset = header.opset;
  }
  return target;
}

}  // namespace anemone::engine::ane
