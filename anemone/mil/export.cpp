// See export.h. A constant that two places refer to is written once.
#include "anemone/mil/export.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "anemone/base/file.h"
#include "anemone/mil/blob_file.h"
#include "anemone/mil/printer.h"

namespace anemone::mil {
namespace {

constexpr const char* kModelFile = "model.mil";
constexpr const char* kWeightsFolder = "weights";

// Creates a folder and those above it. Where a file stands in the way, that is said of the file.
Status make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return {};
  std::error_code ignored;
  for (auto path = folder; path.has_filename(); path = path.parent_path()) {
    if (std::filesystem::exists(path, ignored) && !std::filesystem::is_directory(path, ignored)) {
      return Status::failure(path.string() + ": is not a folder");
    }
  }
  return Status::failure(fmt::format("{}: cannot create: {}", folder.string(), error.message()));
}

class Exporter {
 public:
  Exporter(ConstantSource& constants, const std::filesystem::path& directory)
      : constants_(constants), directory_(directory) {}

  Status run(Program program) {
    if (Status status = make_folder(directory_); !status.ok()) return status;
    for (Function& function : program.functions) {
      for (Operation& op : function.ops) {
        if (op.constant == nullptr || !belongs_in_file(*op.constant)) continue;
        Status status = move_to_file(op, function.name_of(op.results.front()));
        if (!status.ok()) return status;
      }
    }
    return write_file_atomically(directory_ / kModelFile, print(program));
  }

 private:
  static bool belongs_in_file(const Constant& constant) {
    if (constant.weight() != nullptr || constant.blob() != nullptr) return true;
    return constant.has_bytes() && is_float(constant.type().dtype) &&
           constant.type().shape.elements() >= kMinBlobElements;
  }

  // The same for references to the same tensor in the same form.
  static std::string identity(const Constant& constant) {
    const std::string type = constant.type().to_string();
    if (const WeightRef* ref = constant.weight())
      return fmt::format("w {} {} {}", ref->name, ref->transposed, type);
    if (const BlobRef* ref = constant.blob())
      return fmt::format("b {} {} {}", ref->path, ref->offset, type);
    return {};
  }

  std::string unique_file(const Constant& constant, const std::string& name) {
    const WeightRef* ref = constant.weight();
    const std::string stem = ref == nullptr ? blob_file_stem(name) : weight_file_stem(*ref);
    std::string file = stem + ".bin";
    for (int i = 1; !files_.insert(file).second; ++i) file = fmt::format("{}_{}.bin", stem, i);
    return file;
  }

  Status move_to_file(Operation& op, const std::string& name) {
    const Constant& constant = *op.constant;
    const std::string key = identity(constant);
    const auto found = key.empty() ? written_.end() : written_.find(key);
    BlobRef ref;
    if (found != written_.end()) {
      ref = found->second;
    } else {
      const auto weights = directory_ / kWeightsFolder;
      if (Status status = make_folder(weights); !status.ok()) return status;
      const std::string file = unique_file(constant, name);
      std::vector<std::byte> scratch;
      BlobWriter writer(weights / file);
      ref.path = fmt::format("@model_path/{}/{}", kWeightsFolder, file);
      ref.offset = writer.add(constant.type().dtype, constants_.bytes(constant, scratch));
      Status status = writer.finish();
      if (!status.ok()) return status;
      if (!key.empty()) written_.emplace(key, ref);
    }
    op.constant = std::make_shared<const Constant>(constant.type(), std::move(ref));
    return {};
  }

  ConstantSource& constants_;
  std::filesystem::path directory_;
  std::map<std::string, BlobRef> written_;
  std::set<std::string> files_;
};

}  // namespace

Status export_program(const Program& program, ConstantSource& constants,
                      const std::filesystem::path& directory) {
  return Exporter(constants, directory).run(program);
}

}  // namespace anemone::mil
