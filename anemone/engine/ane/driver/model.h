// One program on the Neural Engine: made from text and files, compiled, loaded, asked for its
// layout, and at the end unloaded, purged and removed, in that order. Making one is the compile
// service's business (compile_service.h), which knows when to try again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "anemone/engine/ane/driver/failure.h"
#include "anemone/engine/ane/driver/framework.h"
#include "anemone/engine/ane/driver/layout.h"
#include "anemone/engine/ane/driver/model_folder.h"

namespace anemone::engine::ane {

inline constexpr std::uint32_t kQos = 21;  // what everybody uses; others were measured to be alike

// What goes in. The bytes of the files are asked for one after the other.
struct ModelFile {
  std::string path;  // "@model_path/weights/l0.wq.bin"
  std::size_t bytes = 0;
  std::function<void(std::span<std::byte>)> write;
};
struct ModelSource {
  std::string name;  // for messages
  std::string text;
  std::vector<ModelFile> files;
  std::vector<DeclaredFunction> functions;
  bool keep_compiled = false;  // leave the compiled program in the system's cache at the end
};

// Calls a function that may never return: runs it on a thread of its own and waits so long.
// Nothing: it has not returned; the thread goes on without us, and calls `late` with the result if
// there is one after all.
std::optional<bool> call_with_limit(std::function<bool()> function, Milliseconds limit,
                                    std::function<void(bool)> late);

class Model {
 public:
  // Descriptor, model, folder, files. On failure `failure` says why and nothing is returned; throws
  // Error for files that cannot be written.
  static std::unique_ptr<Model> make(std::shared_ptr<const Framework> framework,
                                     const ModelSource& source, Failure& failure);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  bool is_compiled() const;  // compiled before, by whomever: compile() is not needed
  std::optional<Failure> compile(Milliseconds limit);
  std::optional<Failure> load(Milliseconds limit);
  void purge();  // what the system has compiled of it
  // After load. Throws Error (resolve_layout).
  void read_layout(const ModelSource& source);

  const ModelLayout& layout() const { return layout_; }
  Id get() const { return model_.get(); }
  const Framework& framework() const { return *framework_; }

 private:
  Model(std::shared_ptr<const Framework> framework, Retained model, ModelFolder folder,
        bool keep_compiled)
      : framework_(std::move(framework)),
        model_(std::move(model)),
        folder_(std::move(folder)),
        keep_compiled_(keep_compiled) {}
  using Call = Method<Bool(std::uint32_t, Id, Id*)> Framework::*;
  std::optional<Failure> run(Action action, Call call, Milliseconds limit);

  std::shared_ptr<const Framework> framework_;
  Retained model_;
  ModelFolder folder_;
  ModelLayout layout_;
  bool keep_compiled_ = false;
  bool compiled_ = false, loaded_ = false;
  bool stuck_ = false;  // a call has not returned: the model must be left alone
};

}  // namespace anemone::engine::ane
