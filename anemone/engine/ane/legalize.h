// Turns a program into one that the compiler of the Neural Engine takes, with the same meaning: the
// header it expects, fp16 packed inputs and outputs under names in alphabetical order, arguments as
// named constants, refused operations spelled otherwise, large constants in blob files.
//
//   LegalizedProgram legal = legalize(program, find_target("m4"), {.name = "l0.fwd_attn"});
//   … hand over legal.text, and for each of legal.blobs its path and bytes …
//   … after an update of the weights: write those blobs again whose `from_weights` is set …
//
// Nothing here needs a Mac: the result is plain MIL, and the reference engine computes the same
// from it as from the original.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "anemone/engine/ane/target.h"
#include "anemone/mil/blob_file.h"
#include "anemone/mil/constant_source.h"
#include "anemone/mil/ir.h"

namespace anemone::engine::ane {

enum class BlobFiles : std::uint8_t {
  per_tensor,  // every target takes it
  single,      // weights/weights.bin; targets without `takes.blob_records` get one per tensor
};

struct LegalizeOptions {
  std::string name = "program";  // for messages
  bool pack_io = true;  // one input and one output for the ports that can lie one behind the other
  BlobFiles blob_files = BlobFiles::per_tensor;
  // Needed where a constant of a blob file must be rewritten (rule 56); else references stay
  // references and nothing is read.
  mil::ConstantSource* constants = nullptr;
};

// A tensor of the legal program's interface, hence one surface.
struct LegalBuffer {
  std::string name;  // in the text: a_input0, z_output0, …
  mil::Type type;
};

// A named tensor of the program as it was given, and where it lies.
struct LegalPort {
  std::string name;
  mil::Type type;            // its element type is the buffer's: fp16 where fp32 was asked for
  int buffer = 0;            // index into the function's input_buffers or output_buffers
  std::int64_t channel = 0;  // the first channel (axis 1) it takes there
};

struct LegalFunction {
  std::string name;
  std::vector<LegalBuffer> input_buffers, output_buffers;  // as declared and as sorted
  std::vector<LegalPort> inputs, outputs;                  // in the order of the function given
};

// A file of constants as the text names it. Its bytes are made when asked for, straight from where
// the constants are: legalizing copies no weights.
struct LegalBlob {
  std::string path;  // "@model_path/weights/l0.wq.bin"
  mil::BlobImage image;
  std::vector<mil::Constant> tensors;  // one per record of the image
  bool from_weights = false;           // holds tensors of the WeightStore: an update changes it

  std::size_t bytes() const { return image.bytes(); }
  // The whole file with the present values; `file` has bytes() bytes. Throws Error when a reference
  // cannot be resolved.
  void write(mil::ConstantSource& constants, std::span<std::byte> file) const;
};

// A rewrite that was made, or a hazard that remains.
struct LegalNote {
  int rule = 0;       // of the catalogue (docs/lint.md)
  std::string where;  // "main: rsqrt inv_rms"
  std::string text;
};

struct LegalizedProgram {
  mil::Program program;  // what `text` spells
  std::string text;
  std::vector<LegalBlob> blobs;
  std::vector<LegalFunction> functions;  // in the program's order: the procedure index
  std::vector<LegalNote> notes;
};

// Throws Error naming the operation, the rule of the catalogue and what would help. The functions
// of a program with several get inputs and outputs of distinct names.
LegalizedProgram legalize(mil::Program program, const Target& target,
                          const LegalizeOptions& options = {});

}  // namespace anemone::engine::ane
