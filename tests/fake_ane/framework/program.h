// A compiled program of the fake framework: the MIL text it was given, parsed and checked as the
// real compiler checks it, with the layouts and symbols that the model's attributes report, run by
// one of Anemone's own engines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "anemone/engine/engine.h"
#include "tests/fake_ane/framework/script.h"
#include "tests/fake_ane/framework/surface.h"

namespace anemone::fake_ane {

// An input or output as the device lays it out; strides in bytes.
struct Tensor {
  std::string name;    // as in the program
  std::string symbol;  // outputs have a suffix
  DType dtype = DType::fp16;
  std::int64_t batches = 1, channels = 1, height = 1, width = 1;
  std::int64_t row_stride = 0, plane_stride = 0, batch_stride = 0;
  std::int64_t bytes() const { return batches * batch_stride; }
};

struct Procedure {
  std::string name;
  std::vector<Tensor> inputs, outputs;                      // in the order of their symbols
  std::vector<std::int64_t> input_symbols, output_symbols;  // global indices of the same
};

// One surface and the symbol index it stands for.
struct BoundSurface {
  std::int64_t symbol = 0;
  SurfaceBody* surface = nullptr;
};

// Statuses of an evaluation.
inline constexpr long kStatusOk = 0;
inline constexpr long kStatusBadSymbol = 0x2;
inline constexpr long kStatusBadSurface = 0x1d;
inline constexpr long kStatusNotLoaded = 0x16;

class Program {
 public:
  // `directory` holds weights/; `files` are the names of the blob files given. Throws Error.
  Program(std::string_view text, const std::set<std::string>& files,
          const std::filesystem::path& directory, const Settings& settings);
  ~Program();

  const std::vector<Procedure>& procedures() const { return procedures_; }  // by procedure index
  // Returns a status. Outputs are written only when it is kStatusOk.
  long run(std::int64_t procedure, const std::vector<BoundSurface>& inputs,
           const std::vector<BoundSurface>& outputs, const Settings& settings);

 private:
  struct Executor;  // one procedure on the engine
  void add(const mil::Function& function, const std::filesystem::path& directory,
           const Settings& settings);
  void number_symbols();

  std::mutex mutex_;
  std::unique_ptr<engine::Engine> engine_;
  std::vector<Procedure> procedures_;
  std::vector<std::unique_ptr<Executor>> executors_;
};

}  // namespace anemone::fake_ane
