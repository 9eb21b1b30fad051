// See request.h.
#include "anemone/engine/ane/driver/request.h"

#include "anemone/base/error.h"
#include "anemone/engine/ane/driver/foundation.h"

namespace anemone::engine::ane {
namespace {

struct Objects {
  std::vector<Id> surfaces, indices;
};

Objects objects_of(const Framework& f, std::span<IoSurface* const> surfaces,
                   const std::vector<TensorLayout>& layouts) {
  Objects objects;
  for (std::size_t i = 0; i < surfaces.size(); ++i) {
    const Id surface = f.make_surface_object(surfaces[i]->handle());
    if (surface == nullptr) throw Error("making the request failed: no _ANEIOSurfaceObject");
    objects.surfaces.push_back(surface);
    objects.indices.push_back(to_number(f, layouts[i].symbol));
  }
  return objects;
}

}  // namespace

Request::Request(const Model& model, std::size_t function, std::span<IoSurface* const> inputs,
                 std::span<IoSurface* const> outputs, Clock& clock, bool map)
    : model_(model), clock_(clock) {
  const Framework& f = model.framework();
  const AutoreleasePool pool(f.runtime);
  const FunctionLayout& layout = model.layout().functions[function];
  const Objects in = objects_of(f, inputs, layout.inputs);
  const Objects out = objects_of(f, outputs, layout.outputs);
  const Id request =
      f.make_request(to_array(f, in.surfaces), to_array(f, in.indices), to_array(f, out.surfaces),
                     to_array(f, out.indices), nullptr, nullptr, to_number(f, layout.procedure));
  if (request == nullptr) throw Error("making the request failed: no _ANERequest");
  request_ = Retained(f.runtime, request);
  options_ = Retained(f.runtime, to_dictionary(f, {}));
  if (!map || !f.map || !f.unmap) return;
  Id error = nullptr;
  mapped_ = f.map(model.get(), request, /*cacheInference=*/1, &error) != 0 ||
            f.map(model.get(), request, 0, &error) != 0;
}

Request::~Request() {
  const Framework& f = model_.framework();
  const AutoreleasePool pool(f.runtime);
  if (mapped_) f.unmap(model_.get(), request_.get());
  request_.reset();
  options_.reset();
}

Status Request::run() {
  const Framework& f = model_.framework();
  const AutoreleasePool pool(f.runtime);
  for (int tries = 1;; ++tries) {
    Id error = nullptr;
    if (f.evaluate(model_.get(), kQos, options_.get(), request_.get(), &error) != 0) return {};
    const Failure failure = from_error(f, Action::evaluate, error);
    const Decision decision = decide(failure, tries);
    if (decision.verdict == Verdict::stop) return Status::failure(failure.describe());
    clock_.sleep(decision.wait);
  }
}

}  // namespace anemone::engine::ane
