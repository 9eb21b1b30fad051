// One program on the Neural Engine: made from text and files, compiled, loaded, asked for its
// layout, and at the end unloaded, purged and removed, in that order. Making one is the compile
// service's business (compile_service.h), which knows when to try again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "anemone/engine/ane/driver/call_thread.h"
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

// What belongs to the system: calls that have not returned keep it alive.
struct ModelObject {
  Retained model, options;  // options: the empty dictionary of every call
  bool keep_compiled = false;
  bool compiled = false, loaded = false;  // set by the calls themselves
};

class Model {
 public:
  // Descriptor, model, folder, files. On failure `failure` says why and nothing is returned; throws
  // Error for files that cannot be written.
  static std::unique_ptr<Model> make(std::shared_ptr<const Framework> framework,
                                     std::shared_ptr<CallThread> calls, const ModelSource& source,
                                     Failure& failure);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  bool is_compiled();  // compiled before, by whomever: compile() is not needed
  std::optional<Failure> compile();
  std::optional<Failure> load();
  void purge();  // what the system has compiled of it
  // After load. Throws Error (resolve_layout).
  void read_layout(const ModelSource& source);

  const ModelLayout& layout() const { return layout_; }
  const std::shared_ptr<ModelObject>& object() const { return object_; }
  CallThread& calls() const { return *calls_; }
  const std::shared_ptr<const Framework>& framework() const { return framework_; }

 private:
  Model(std::shared_ptr<const Framework> framework, std::shared_ptr<CallThread> calls,
        std::shared_ptr<ModelObject> object, ModelFolder folder)
      : framework_(std::move(framework)),
        calls_(std::move(calls)),
        object_(std::move(object)),
        folder_(std::move(folder)) {}
  std::shared_ptr<Call> make_call(Action action, Call::Send send) const;

  std::shared_ptr<const Framework> framework_;
  std::shared_ptr<CallThread> calls_;
  std::shared_ptr<ModelObject> object_;
  ModelFolder folder_;
  ModelLayout layout_;
};

}  // namespace anemone::engine::ane
