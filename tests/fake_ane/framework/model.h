// The framework's objects: descriptor, model, request, surface object.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/fake_ane/framework/foundation.h"
#include "tests/fake_ane/framework/program.h"

namespace anemone::fake_ane {

inline constexpr const char* kDomain = "com.apple.appleneuralengine";
inline constexpr const char* kCompilerDomain = "com.apple.appleneuralengine.compiler";

struct DescriptorBody final : Body {
  Ref text_data;  // NSData
  Ref weights;    // NSDictionary
  std::string_view text() const;
  // "@model_path/weights/w.bin" → its bytes.
  std::map<std::string, const DataBody*> files() const;
  std::string identifier() const;  // of text, options and weights
};

// A failed call, to become an NSError.
struct Problem {
  std::string domain = kDomain;
  long code = 0;
  std::string text;
  bool no_error = false;
};

struct SurfaceObjectBody final : Body {
  Ref surface;
};

struct RequestBody final : Body {
  std::vector<BoundSurface> inputs, outputs;
  std::vector<Ref> surface_objects;
  std::int64_t procedure = 0;
  bool mapped = false;
  ~RequestBody() override;
};

struct InnerModelBody final : Body {
  Ref attributes;
};

class ModelBody final : public Body {
 public:
  explicit ModelBody(Ref descriptor);
  ~ModelBody() override;

  // Null: done.
  std::unique_ptr<Problem> compile();
  std::unique_ptr<Problem> load();
  std::unique_ptr<Problem> unload();
  std::unique_ptr<Problem> evaluate(const RequestBody& request);
  bool compiled_exists();
  void purge();

  const std::string& identifier() const { return identifier_; }
  id attributes() const { return attributes_.get(); }
  id inner_model() const { return inner_.get(); }
  long load_state() const { return loaded_ ? 3 : program_ ? 1 : 0; }

 private:
  const DescriptorBody& descriptor() const;
  void check_files() const;
  void forget_loaded();

  std::mutex mutex_;
  Ref descriptor_, attributes_, inner_;
  std::string identifier_;
  std::shared_ptr<Program> program_;
  bool loaded_ = false;
};

// The folder in which the framework looks for the files of a program.
std::string temporary_directory();

// What modelAttributes returns for a loaded program.
Ref attributes_of(const Program& program, const Settings& settings);

long loaded_programs();
std::string last_compile_error();
void forget_programs();  // compile budget, cache, last error

// Made when the library is loaded.
void make_model_classes();
void make_request_classes();
Class inner_model_class();

}  // namespace anemone::fake_ane
