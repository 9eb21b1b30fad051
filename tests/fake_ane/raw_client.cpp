#include "tests/fake_ane/raw_client.h"

#include <filesystem>
#include <fstream>

#include "anemone/base/element.h"

namespace anemone::test {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kQos = 21;

}  // namespace

Id ObjC::dictionary(const std::vector<std::pair<Id, Id>>& entries) const {
  std::vector<Id> keys, values;
  for (const auto& [each_key, value] : entries) {
    keys.push_back(each_key);
    values.push_back(value);
  }
  return send_class("NSDictionary", "dictionaryWithObjects:forKeys:count:", values.data(),
                    keys.data(), keys.size());
}

RawSurface::RawSurface(const ObjC& objc, std::size_t bytes) : objc_(objc) {
  const Pool pool(objc);
  const auto size = objc.number(static_cast<long long>(bytes));
  const Id properties = objc.dictionary({{objc.key("kIOSurfaceWidth"), size},
                                         {objc.key("kIOSurfaceHeight"), objc.number(1)},
                                         {objc.key("kIOSurfaceBytesPerElement"), objc.number(1)},
                                         {objc.key("kIOSurfaceBytesPerRow"), size},
                                         {objc.key("kIOSurfaceAllocSize"), size},
                                         {objc.key("kIOSurfacePixelFormat"), objc.number(0)}});
  surface = objc.function<Id (*)(Id)>("IOSurfaceCreate")(properties);
}

std::byte* RawSurface::lock(bool read_only) {
  using Lock = int (*)(Id, std::uint32_t, std::uint32_t*);
  if (objc_.function<Lock>("IOSurfaceLock")(surface, read_only ? 1 : 0, nullptr) != 0) {
    return nullptr;
  }
  return static_cast<std::byte*>(objc_.function<void* (*)(Id)>("IOSurfaceGetBaseAddress")(surface));
}

void RawSurface::unlock(bool read_only) {
  using Unlock = int (*)(Id, std::uint32_t, std::uint32_t*);
  objc_.function<Unlock>("IOSurfaceUnlock")(surface, read_only ? 1 : 0, nullptr);
}

void RawSurface::write(std::size_t offset, const std::vector<double>& values) {
  store_elements(DType::fp16, lock() + offset, values);
  unlock();
}

std::vector<double> RawSurface::read(std::size_t offset, std::size_t count) {
  std::vector<double> values(count);
  load_elements(DType::fp16, lock(true) + offset, values);
  unlock(true);
  return values;
}

RawModel::RawModel(const FakeAne& fake, const ObjC& objc, const std::string& text,
                   const Files& files)
    : objc_(objc) {
  const Pool pool(objc);
  std::vector<std::pair<Id, Id>> weights;
  for (const auto& [path, bytes] : files) {
    const Id entry = objc.dictionary(
        {{objc.string("offset"), objc.number(0)}, {objc.string("data"), objc.data(bytes)}});
    weights.emplace_back(objc.string("@model_path/" + path), entry);
  }
  const Id descriptor = objc.send_class("_ANEInMemoryModelDescriptor",
                                        "modelWithMILText:weights:optionsPlist:", objc.data(text),
                                        objc.dictionary(weights), static_cast<Id>(nullptr));
  if (descriptor == nullptr) return;
  model = objc.send_class("_ANEInMemoryModel", "inMemoryModelWithDescriptor:", descriptor);
  if (model == nullptr) return;
  objc.send(model, "retain");
  const auto directory = reinterpret_cast<Id (*)()>(fake.find("NSTemporaryDirectory"));
  folder_ = objc.text(directory()) + objc.text(objc.send(model, "hexStringIdentifier"));
  write_files(text, files);
}

RawModel::~RawModel() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
  if (model != nullptr) objc_.send<void>(model, "release");
}

void RawModel::write_files(const std::string& text, const Files& files) {
  fs::remove_all(folder_);
  fs::create_directories(folder_ + "/weights");
  std::ofstream(folder_ + "/model.mil") << text;
  for (const auto& [path, bytes] : files) std::ofstream(folder_ + "/" + path) << bytes;
}

void RawModel::take_error(Id object) {
  error = {};
  if (object == nullptr) return;
  error.domain = objc_.text(objc_.send(object, "domain"));
  error.code = objc_.send<long>(object, "code");
  error.text = objc_.text(objc_.send(object, "localizedDescription"));
}

bool RawModel::call(const char* selector) {
  const Pool pool(objc_);
  Id object = nullptr;
  const bool ok =
      objc_.send<unsigned char>(model, selector, kQos, objc_.dictionary({}), &object) != 0;
  take_error(object);
  return ok;
}

bool RawModel::unload() {
  const Pool pool(objc_);
  Id object = nullptr;
  const bool ok = objc_.send<unsigned char>(model, "unloadWithQoS:error:", kQos, &object) != 0;
  take_error(object);
  return ok;
}

Id RawModel::surface_objects(const Bound& bound) const {
  std::vector<Id> objects;
  for (const auto& [surface, symbol] : bound) {
    objects.push_back(
        objc_.send_class("_ANEIOSurfaceObject", "objectWithIOSurface:", surface->surface));
  }
  return objc_.array(objects);
}

Id RawModel::indices(const Bound& bound) const {
  std::vector<Id> numbers;
  for (const auto& [surface, symbol] : bound) numbers.push_back(objc_.number(symbol));
  return objc_.array(numbers);
}

bool RawModel::evaluate(const Bound& inputs, const Bound& outputs, long long procedure) {
  const Pool pool(objc_);
  const Id none = nullptr;
  const Id request = objc_.send_class(
      "_ANERequest",
      "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:"
      "procedureIndex:",
      surface_objects(inputs), indices(inputs), surface_objects(outputs), indices(outputs), none,
      none, objc_.number(procedure));
  if (request == nullptr) return false;
  Id object = nullptr;
  const bool ok = objc_.send<unsigned char>(model, "evaluateWithQoS:options:request:error:", kQos,
                                            objc_.dictionary({}), request, &object) != 0;
  take_error(object);
  return ok;
}

}  // namespace anemone::test
