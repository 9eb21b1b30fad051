// Which constants lie in files (rules 45, 50 to 52), and the files' bytes.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "anemone/base/error.h"
#include "anemone/engine/ane/passes/function_editor.h"
#include "anemone/engine/ane/passes/legal_pass.h"
#include "anemone/mil/export.h"

namespace anemone::engine::ane {
namespace {

constexpr const char* kFolder = "@model_path/weights/";
constexpr const char* kSingleFile = "weights";

bool belongs_in_file(const mil::Constant& constant) {
  if (constant.weight() != nullptr || constant.blob() != nullptr) return true;
  return constant.has_bytes() && is_float(constant.type().dtype) &&
         constant.type().shape.elements() >= mil::kMinBlobElements;
}

std::size_t bytes_of(const mil::Type& type) {
  return static_cast<std::size_t>(type.shape.elements()) * dtype_size(type.dtype);
}

class Placement {
 public:
  Placement(mil::Program& program, const Target& target, const LegalizeOptions& options,
            std::vector<LegalNote>& notes)
      : program_(program), options_(options), single_(options.blob_files == BlobFiles::single) {
    if (!single_ || target.takes.blob_records.holds) return;
    single_ = false;
    notes.push_back(
        {45, options.name,
         fmt::format("a blob file for each tensor: {} refuses several in one file", target.name)});
  }

  std::vector<LegalBlob> run() {
    int tensors = 0;
    for (mil::Function& function : program_.functions) {
      for (mil::Operation& op : function.ops) {
        if (op.constant == nullptr || !belongs_in_file(*op.constant)) continue;
        place(op, function.name_of(op.results.front()));
        ++tensors;
      }
    }
    check_count(tensors);
    return std::move(blobs_);
  }

 private:
  void place(mil::Operation& op, const std::string& name) {
    const mil::Constant constant = *op.constant;
    auto found = std::find_if(placed_.begin(), placed_.end(),
                              [&](const auto& entry) { return entry.first == constant; });
    if (found == placed_.end()) {
      placed_.emplace_back(constant, add(constant, name));
      found = placed_.end() - 1;
    }
    op.constant = std::make_shared<const mil::Constant>(constant.type(), found->second);
  }

  mil::BlobRef add(const mil::Constant& constant, const std::string& name) {
    if (!single_ || blobs_.empty()) {
      blobs_.emplace_back();
      blobs_.back().path = kFolder + unique_file(constant, name);
    }
    LegalBlob& blob = blobs_.back();
    blob.tensors.push_back(constant);
    blob.from_weights |= constant.weight() != nullptr;
    const std::uint64_t offset = blob.image.add(constant.type().dtype, bytes_of(constant.type()));
    return {blob.path, offset};
  }

  std::string unique_file(const mil::Constant& constant, const std::string& name) {
    const mil::WeightRef* ref = constant.weight();
    const std::string stem = single_          ? kSingleFile
                             : ref == nullptr ? mil::blob_file_stem(name)
                                              : mil::weight_file_stem(*ref);
    std::string file = stem + ".bin";
    for (int i = 1; !files_.insert(file).second; ++i) file = fmt::format("{}_{}.bin", stem, i);
    return file;
  }

  bool has_scalar_operand() const {
    for (const mil::Function& function : program_.functions) {
      for (const mil::Operation& op : function.ops) {
        if (op.kind != mil::OpKind::add && op.kind != mil::OpKind::mul &&
            op.kind != mil::OpKind::pow)
          continue;
        for (const char* param : {"x", "y"}) {
          const mil::Constant* constant = function.constant(argument(op, param));
          if (constant != nullptr && constant->type().is_scalar()) return true;
        }
      }
    }
    return false;
  }

  void check_count(int tensors) const {
    const int most = has_scalar_operand() ? kMaxBlobTensorsScalar : kMaxBlobTensors;
    if (tensors <= most) return;
    throw Error(fmt::format("{} constants in blob files (rule 52)", tensors), options_.name,
                fmt::format("at most {} a program: split it", most));
  }

  mil::Program& program_;
  const LegalizeOptions& options_;
  bool single_;
  std::vector<LegalBlob> blobs_;
  std::vector<std::pair<mil::Constant, mil::BlobRef>> placed_;  // no constant twice
  std::set<std::string> files_;
};

}  // namespace

std::vector<LegalBlob> place_constants(mil::Program& program, const Target& target,
                                       const LegalizeOptions& options,
                                       std::vector<LegalNote>& notes) {
  return Placement(program, target, options, notes).run();
}

void LegalBlob::write(mil::ConstantSource& constants, std::span<std::byte> file) const {
  image.write_headers(file);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    constants.write(tensors[i], image.data(file, i));
  }
}

}  // namespace anemone::engine::ane
