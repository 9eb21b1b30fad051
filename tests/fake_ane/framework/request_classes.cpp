// _ANERequest, _ANEIOSurfaceObject, and the classes that only tell about the machine.
#include "tests/fake_ane/framework/model.h"

namespace anemone::fake_ane {
namespace {

Class request_class = nullptr;

// Pairs surface objects with symbol indices; false where the arrays do not fit together.
bool bind_surfaces(id objects, id indices, std::vector<BoundSurface>& bound,
                   std::vector<Ref>& surface_objects) {
  const ArrayBody* object_array = array_of(objects);
  const ArrayBody* index_array = array_of(indices);
  if (object_array == nullptr || index_array == nullptr) return false;
  if (object_array->items.size() != index_array->items.size()) return false;
  for (std::size_t i = 0; i < object_array->items.size(); ++i) {
    const auto* object = body_of<SurfaceObjectBody>(object_array->items[i].get());
    const NumberBody* index = number_of(index_array->items[i].get());
    if (object == nullptr || index == nullptr) return false;
    bound.push_back({index->integer, body_of<SurfaceBody>(object->surface.get())});
    surface_objects.push_back(object_array->items[i]);
  }
  return !bound.empty();
}

id make_request(id inputs, id input_indices, id outputs, id output_indices, id procedure) {
  if (next_fault(Point::request).fail) return nullptr;
  auto body = std::make_unique<RequestBody>();
  const NumberBody* index = number_of(procedure);
  const bool fits = bind_surfaces(inputs, input_indices, body->inputs, body->surface_objects) &&
                    bind_surfaces(outputs, output_indices, body->outputs, body->surface_objects) &&
                    index != nullptr;
  if (!fits) {
    violation("a request whose surfaces and indices are no arrays that fit together");
    return nullptr;
  }
  body->procedure = index->integer;
  return autorelease(make_object(request_class, std::move(body)));
}

void make_request_class() {
  ClassBuilder c("_ANERequest", foundation().object);
  c.class_method(
       "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:"
       "procedureIndex:",
       [](id, id inputs, id input_indices, id outputs, id output_indices, id weights, id statistics,
          id procedure) -> id {
         if (weights != nullptr || statistics != nullptr) {
           violation("a request with a weights buffer or statistics, which do nothing");
         }
         return make_request(inputs, input_indices, outputs, output_indices, procedure);
       })
      .class_method(
          "requestWithInputs:inputIndices:outputs:outputIndices:procedureIndex:",
          [](id, id inputs, id input_indices, id outputs, id output_indices, id procedure) -> id {
            return make_request(inputs, input_indices, outputs, output_indices, procedure);
          })
      .method("validate", [](id self) -> BOOL {
        const auto* body = body_of<RequestBody>(self);
        return body != nullptr && body->procedure >= 0 ? YES : NO;
      });
  request_class = c.finish();
}

id make_surface_object(id self, id surface) {
  if (next_fault(Point::surface_object).fail) return nullptr;
  if (body_of<SurfaceBody>(surface) == nullptr) {
    violation("a surface object of something that is no IOSurface");
    return nullptr;
  }
  auto body = std::make_unique<SurfaceObjectBody>();
  body->surface = Ref::share(surface);
  return autorelease(make_object(reinterpret_cast<Class>(self), std::move(body)));
}

void make_surface_object_class() {
  ClassBuilder c("_ANEIOSurfaceObject", foundation().object);
  c.class_method("objectWithIOSurface:", [](id self, id surface) {
     return make_surface_object(self, surface);
   }).class_method("objectWithIOSurface:startOffset:", [](id self, id surface, id) {
    return make_surface_object(self, surface);  // the offset has no effect
  });
  c.finish();
}

id text(const char* value) { return autorelease(make_string(value).leak()); }

void make_device_class() {
  ClassBuilder c("_ANEDeviceInfo", foundation().object);
  c.class_method("hasANE", [](id) -> BOOL { return YES; })
      .class_method("isVirtualMachine", [](id) -> BOOL { return NO; })
      .class_method("numANEs", [](id) { return 1U; })
      .class_method("numANECores", [](id) { return 16U; })
      .class_method("aneArchitectureType", [](id) { return text("h16g"); })
      .class_method("aneSubType", [](id) { return text("fake"); })
      .class_method("aneBoardType", [](id) { return 0L; })
      .class_method("productName", [](id) { return text("Fake macOS"); })
      .class_method("buildVersion", [](id) { return text("25A0"); });
  c.finish();
}

}  // namespace

RequestBody::~RequestBody() {
  if (mapped) violation("a request was released while its surfaces were mapped");
}

void make_request_classes() {
  make_surface_object_class();
  make_request_class();
  make_device_class();
  for (const char* name : {"_ANEClient", "_ANEPerformanceStats", "_ANEQoSMapper"}) {
    ClassBuilder(name, foundation().object).finish();
  }
}

}  // namespace anemone::fake_ane
