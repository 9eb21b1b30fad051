// _ANEInMemoryModelDescriptor, _ANEInMemoryModel and _ANEModel.
#include "tests/fake_ane/framework/model.h"

namespace anemone::fake_ane {
namespace {

constexpr std::string_view kWeightsPrefix = "@model_path/";
constexpr unsigned kMaxQos = 63;

Class inner_class = nullptr;

ModelBody& model(id self) { return *body_of<ModelBody>(self); }

// What is wrong with an entry of the weight dictionary, or nothing.
std::string check_weight(id key, id value) {
  const std::string* path = string_of(key);
  if (path == nullptr) return "a key of the weight dictionary is no NSString";
  if (path->rfind(kWeightsPrefix, 0) != 0)
    return "the weight path " + *path + " is not below @model_path/";
  const NumberBody* offset = number_of(entry_of(value, "offset"));
  if (offset == nullptr || offset->integer != 0) return *path + " has no offset @0";
  if (data_of(entry_of(value, "data")) == nullptr) return *path + " has no NSData as data";
  return {};
}

std::string check_descriptor(id text, id weights) {
  if (data_of(text) == nullptr) return "the MIL text is no NSData";
  if (dictionary_of(weights) == nullptr) return "the weights are no NSDictionary";
  for (const auto& [key, value] : dictionary_of(weights)->entries) {
    std::string wrong = check_weight(key.get(), value.get());
    if (!wrong.empty()) return wrong;
  }
  return {};
}

// The real framework crashes or returns nil for what is wrong here.
id make_descriptor(id owner, id text, id weights, id options) {
  if (next_fault(Point::descriptor).fail) return nullptr;
  std::string wrong = check_descriptor(text, weights);
  if (wrong.empty() && options != nullptr && data_of(options) == nullptr) {
    wrong = "the options are no NSData";
  }
  if (!wrong.empty()) {
    violation("descriptor: " + wrong);
    return nullptr;
  }
  auto body = std::make_unique<DescriptorBody>();
  body->text_data = Ref::share(text);
  body->weights = Ref::share(weights);
  return make_object(reinterpret_cast<Class>(owner), std::move(body));
}

// Fills in what the alloc'ed object lacks; nil releases it.
id init_descriptor(id self, id text, id weights, id options) {
  const id made =
      make_descriptor(reinterpret_cast<id>(object_getClass(self)), text, weights, options);
  release(self);
  return made;
}

void make_descriptor_class() {
  ClassBuilder c("_ANEInMemoryModelDescriptor", foundation().object);
  c.class_method("modelWithMILText:weights:optionsPlist:",
                 [](id self, id text, id weights, id options) {
                   return autorelease(make_descriptor(self, text, weights, options));
                 })
      .method("initWithNetworkText:weights:optionsPlist:isMILModel:",
              [](id self, id text, id weights, id options, BOOL is_mil) {
                if (is_mil == NO) violation("a descriptor of MIL text says that it is none");
                return init_descriptor(self, text, weights, options);
              });
  c.finish();
}

BOOL answer(const std::unique_ptr<Problem>& problem, id* error) {
  if (problem == nullptr) return YES;
  if (!problem->no_error) set_error(error, problem->domain, problem->code, problem->text);
  return NO;
}

// Quality of service and options, which every call has.
bool arguments_fit(unsigned qos, id options, id* error) {
  if (qos <= kMaxQos && dictionary_of(options) != nullptr) return true;
  violation("a call with a quality of service above 63 or options that are no NSDictionary");
  set_error(error, kDomain, 2, "bad argument");
  return false;
}

void add_life_cycle(ClassBuilder& c) {
  c.method("compileWithQoS:options:error:",
           [](id self, unsigned qos, id options, id* error) -> BOOL {
             return arguments_fit(qos, options, error) ? answer(model(self).compile(), error) : NO;
           })
      .method("loadWithQoS:options:error:",
              [](id self, unsigned qos, id options, id* error) -> BOOL {
                return arguments_fit(qos, options, error) ? answer(model(self).load(), error) : NO;
              })
      .method(
          "unloadWithQoS:error:",
          [](id self, unsigned, id* error) -> BOOL { return answer(model(self).unload(), error); })
      .method("evaluateWithQoS:options:request:error:",
              [](id self, unsigned qos, id options, id request, id* error) -> BOOL {
                if (!arguments_fit(qos, options, error)) return NO;
                const auto* body = body_of<RequestBody>(request);
                if (body != nullptr) return answer(model(self).evaluate(*body), error);
                violation("evaluated something that is no _ANERequest");
                set_error(error, kDomain, 2, "bad argument");
                return NO;
              })
      .method("compiledModelExists",
              [](id self) -> BOOL { return model(self).compiled_exists() ? YES : NO; })
      .method("purgeCompiledModel", [](id self) { model(self).purge(); });
}

void add_mapping(ClassBuilder& c) {
  c.method("mapIOSurfacesWithRequest:cacheInference:error:",
           [](id, id request, BOOL, id* error) -> BOOL {
             const Fault fault = next_fault(Point::map);
             auto* body = body_of<RequestBody>(request);
             if (body == nullptr) violation("mapped something that is no _ANERequest");
             if (body == nullptr || fault.fail) {
               set_error(error, kDomain, fault.code == 0 ? 8 : fault.code, "status=0x13");
               return NO;
             }
             body->mapped = true;
             return YES;
           })
      .method("unmapIOSurfacesWithRequest:", [](id, id request) {
        auto* body = body_of<RequestBody>(request);
        if (body == nullptr || !body->mapped) violation("unmapped a request that is not mapped");
        if (body != nullptr) body->mapped = false;
      });
}

void make_model_class() {
  ClassBuilder c("_ANEInMemoryModel", foundation().object);
  c.class_method("inMemoryModelWithDescriptor:",
                 [](id self, id descriptor) -> id {
                   if (next_fault(Point::model).fail) return nullptr;
                   if (body_of<DescriptorBody>(descriptor) == nullptr) {
                     violation("a model was made of something that is no descriptor");
                     return nullptr;
                   }
                   auto body = std::make_unique<ModelBody>(Ref::share(descriptor));
                   return autorelease(make_object(reinterpret_cast<Class>(self), std::move(body)));
                 })
      .method("hexStringIdentifier",
              [](id self) { return autorelease(make_string(model(self).identifier()).leak()); })
      .method("modelAttributes", [](id self) { return model(self).attributes(); })
      .method("model", [](id self) { return model(self).inner_model(); })
      .method("state", [](id self) { return static_cast<unsigned long>(model(self).load_state()); })
      .method("queueDepth", [](id) { return 127; });
  add_life_cycle(c);
  add_mapping(c);
  c.finish();
}

}  // namespace

Class inner_model_class() { return inner_class; }

void make_model_classes() {
  make_descriptor_class();
  ClassBuilder inner("_ANEModel", foundation().object);
  inner.method("modelAttributes",
               [](id self) { return body_of<InnerModelBody>(self)->attributes.get(); });
  inner_class = inner.finish();
  make_model_class();
}

}  // namespace anemone::fake_ane
