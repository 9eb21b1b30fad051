// From Foundation's dictionaries to plain values; names of keys stand here and nowhere else.
#include "anemone/engine/ane/driver/reported.h"

#include "anemone/engine/ane/driver/foundation.h"

namespace anemone::engine::ane {
namespace {

std::int64_t number_in(const Framework& f, Id dictionary, const char* key) {
  return from_number(f, lookup(f, dictionary, key)).value_or(0);
}

std::vector<std::int64_t> numbers_in(const Framework& f, Id dictionary, const char* key) {
  std::vector<std::int64_t> numbers;
  for (const Id object : from_array(f, lookup(f, dictionary, key)))
    numbers.push_back(from_number(f, object).value_or(-1));
  return numbers;
}

std::vector<std::string> strings_in(const Framework& f, Id dictionary, const char* key) {
  std::vector<std::string> strings;
  for (const Id object : from_array(f, lookup(f, dictionary, key)))
    strings.push_back(from_string(f, object));
  return strings;
}

ReportedTensor read_tensor(const Framework& f, Id entry) {
  ReportedTensor tensor;
  tensor.name = from_string(f, lookup(f, entry, "Name"));
  tensor.symbol = from_string(f, lookup(f, entry, "Symbol"));
  tensor.type = from_string(f, lookup(f, entry, "Type"));
  tensor.batches = number_in(f, entry, "Batches");
  tensor.channels = number_in(f, entry, "Channels");
  tensor.height = number_in(f, entry, "Height");
  tensor.width = number_in(f, entry, "Width");
  tensor.depth = number_in(f, entry, "Depth");
  tensor.interleave = number_in(f, entry, "Interleave");
  tensor.row_stride = number_in(f, entry, "RowStride");
  tensor.plane_stride = number_in(f, entry, "PlaneStride");
  tensor.batch_stride = number_in(f, entry, "BatchStride");
  return tensor;
}

std::vector<ReportedTensor> read_tensors(const Framework& f, Id network, const char* key) {
  std::vector<ReportedTensor> tensors;
  for (const Id entry : from_array(f, lookup(f, network, key)))
    tensors.push_back(read_tensor(f, entry));
  return tensors;
}

ReportedNetwork read_network(const Framework& f, Id entry) {
  ReportedNetwork network;
  network.name = from_string(f, lookup(f, entry, "Name"));
  network.inputs = read_tensors(f, entry, "LiveInputList");
  for (ReportedTensor& tensor : read_tensors(f, entry, "LiveInputParamList"))
    network.inputs.push_back(std::move(tensor));
  network.outputs = read_tensors(f, entry, "LiveOutputList");
  return network;
}

ReportedProcedure read_procedure(const Framework& f, Id entry) {
  return {number_in(f, entry, "ANEFModelProcedureID"),
          numbers_in(f, entry, "ANEFModelInputSymbolIndexArray"),
          numbers_in(f, entry, "ANEFModelOutputSymbolIndexArray")};
}

}  // namespace

Reported read_reported(const Framework& f, Id attributes) {
  const AutoreleasePool pool(f.runtime);
  Reported reported;
  for (const Id entry : from_array(f, lookup(f, attributes, "NetworkStatusList")))
    reported.networks.push_back(read_network(f, entry));
  const Id description = lookup(f, attributes, "ANEFModelDescription");
  for (const Id entry : from_array(f, lookup(f, description, "ANEFModelProcedures")))
    reported.procedures.push_back(read_procedure(f, entry));
  for (const auto& [name, id] :
       from_dictionary(f, lookup(f, description, "kANEFModelProcedureNameToIDMapKey")))
    reported.procedure_ids[name] = from_number(f, id).value_or(-1);
  reported.input_symbols = strings_in(f, description, "kANEFModelInputSymbolsArrayKey");
  reported.output_symbols = strings_in(f, description, "kANEFModelOutputSymbolsArrayKey");
  return reported;
}

}  // namespace anemone::engine::ane
