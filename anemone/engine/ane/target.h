// Which Neural Engine a program is written for: one row a generation, with what is known of it.
//
// Nothing here was measured by this project. Each fact carries the number of its rule in the
// catalogue (docs/lint.md has them all) and how certain it is; `holds` is false where the evidence
// is against a form or missing, so that whoever asks takes the portable form, which works
// everywhere.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace anemone::engine::ane {

enum class Certainty : char {
  A = 'A',  // read in source text, or follows by arithmetic
  B = 'B',  // measured by two or more independent projects
  C = 'C',  // measured by one project
  D = 'D',  // contested, or true of some chips or paths only: never a reason to fail
  E = 'E',  // inferred, or unknown and taken from the nearest generation
};
constexpr char letter(Certainty certainty) { return static_cast<char>(certainty); }

struct Fact {
  bool holds = false;
  Certainty certainty = Certainty::E;
  int rule = 0;  // of the catalogue
};

struct Amount {
  double value = 0;  // 0: not published
  Certainty certainty = Certainty::E;
  int rule = 0;
  std::int64_t integer() const { return static_cast<std::int64_t>(value); }
};

struct MacOs {
  int major = 0;
  int minor = 0;
  bool operator==(const MacOs&) const = default;
};
MacOs parse_macos(std::string_view text);  // "15", "26.3"; throws Error

// The largest size of an axis; and what a cautious program stays below.
struct AxisLimits {
  std::int64_t width = 16384, height = 16384, channels = 65536;
  std::int64_t cautious_channels = 16384;
  std::int64_t transpose = 16384;
  std::int64_t kernel_width = 13, kernel_height = 29;  // of a convolution
};

// Forms of programs that some generations refuse.
struct Takes {
  Fact fp32_io;      // fp32 inputs and outputs, with casts inside
  Fact silu;         // as one operation
  Fact rsqrt;        // with its epsilon given
  Fact reduce_mean;  // as one operation
  Fact pow;          // with a constant scalar exponent
  Fact sin_cos;
  Fact blob_records;      // several tensors in one blob file
  Fact constant_matmul;   // an operand of matmul is a constant
  Fact narrow_broadcast;  // [1, C, S] with [1, C, 1] in element-wise operations
  Fact runtime_matmul;    // both operands computed, of any rank
};

// What a program must beware of in the arithmetic: holds where any chip of the generation is said
// to do it. numerics_profile.h has all of each chip's arithmetic; a test compares the two.
struct Quirks {
  Fact products_flush_subnormals;  // in convolutions and matrix products
  Fact width_slice_gain;           // a slice that begins inside the width axis overflows above 4094
};

struct Target {
  std::string_view name;             // "h16"
  int generation = 0;                // 16
  std::string_view chips;            // "M4, M4 Pro, M4 Max, M5"
  MacOs macos;                       // assumed, unless find_target is given another
  std::string_view program_version;  // "1.3"
  std::string_view opset;            // "ios18"
  Takes takes;
  Quirks quirks;
  AxisLimits limits;
  Amount resident_bytes;     // kept on the chip between operations
  Amount working_set_bytes;  // above it throughput falls by a third
  Amount peak_flops;         // best fp16 rate published
};

// The same for every generation.
inline constexpr std::int64_t kRowAlignment = 64;  // bytes of a row of a surface
inline constexpr std::int64_t kMaxRank = 5;
inline constexpr int kMaxBlobTensors = 16;        // BLOBFILE constants of a program
inline constexpr int kMaxBlobTensorsScalar = 15;  // where a scalar constant is added, multiplied, …
inline constexpr int kCompileLimit = 119;         // compiles of a process
inline constexpr double kDispatchSeconds = 95e-6;  // of one evaluation, whatever it computes
inline constexpr double kRidgeFlopsPerByte = 141;  // below it memory decides, not arithmetic

std::span<const Target> targets();

// The names that find_target takes for a row: "h16, h16g…, m4, m4-pro, m4-max, m5".
std::string spellings(const Target& target);

// By generation (h16, h16g), or by chip in any usual spelling (m4, m4-pro, "Apple M4 Pro"), for a
// version of macOS ("15", "26.3"; empty: the row's own). Throws Error naming what there is.
Target find_target(std::string_view name, std::string_view macos = {});

}  // namespace anemone::engine::ane
