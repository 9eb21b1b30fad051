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
  const Framework& f = *model.framework();
  const AutoreleasePool pool(f.runtime);
  const FunctionLayout& layout = model.layout().functions[function];
  const Objects in = objects_of(f, inputs, layout.inputs);
  const Objects out = objects_of(f, outputs, layout.outputs);
  const Id request =
      f.make_request(to_array(f, in.surfaces), to_array(f, in.indices), to_array(f, out.surfaces),
                     to_array(f, out.indices), nullptr, nullptr, to_number(f, layout.procedure));
  if (request == nullptr) throw Error("making the request failed: no _ANERequest");
  request_ = std::make_shared<Retained>(f.runtime, request);
  evaluate_ = make_call(Action::evaluate, [object = model.object(), shared = request_](
                                              const Framework& framework, Id* error) {
    return framework.evaluate(object->model.get(), kQos, object->options.get(), shared->get(),
                              error) != 0;
  });
  mapped_ = map && f.map && f.unmap && this->map();
}

Request::~Request() {
  if (!mapped_) return;
  model_.calls().tidy_up(make_call(Action::unload, [object = model_.object(), shared = request_](
                                                       const Framework& framework, Id*) {
    framework.unmap(object->model.get(), shared->get());
    return true;
  }));
}

std::shared_ptr<Call> Request::make_call(Action action, Call::Send send) const {
  return std::make_shared<Call>(model_.framework(), action, std::move(send));
}

bool Request::map() {
  const auto failure =
      model_.calls().run(make_call(Action::request, [object = model_.object(), shared = request_](
                                                        const Framework& f, Id* error) {
        const Id model = object->model.get(), request = shared->get();
        return f.map(model, request, /*cacheInference=*/1, error) != 0 ||
               f.map(model, request, 0, error) != 0;
      }));
  return !failure;
}

Status Request::run() {
  for (int tries = 1;; ++tries) {
    const std::optional<Failure> failure = model_.calls().run(evaluate_);
    if (!failure) return {};
    const Decision decision = decide(*failure, tries);
    if (decision.verdict == Verdict::stop) return Status::failure(failure->describe());
    clock_.sleep(decision.wait);
  }
}

}  // namespace anemone::engine::ane
