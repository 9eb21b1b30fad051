// What a loaded model reports about itself: layouts of its inputs and outputs, and the index of
// each of its symbols. Parts are left out as the script wants.
#include "tests/fake_ane/framework/model.h"

namespace anemone::fake_ane {
namespace {

using Entries = std::vector<std::pair<std::string, Ref>>;

Ref number_array(const std::vector<std::int64_t>& numbers) {
  std::vector<Ref> items;
  for (const std::int64_t number : numbers) items.push_back(make_number(number));
  return make_array(std::move(items));
}

Ref live_entry(const Tensor& tensor, bool strides) {
  Entries entries;
  entries.emplace_back("Name", make_string(tensor.symbol));
  entries.emplace_back("Symbol", make_string(tensor.symbol));
  entries.emplace_back("Type", make_string(tensor.dtype == DType::fp16 ? "Float16" : "Float32"));
  entries.emplace_back("Batches", make_number(tensor.batches));
  entries.emplace_back("Channels", make_number(tensor.channels));
  entries.emplace_back("Depth", make_number(1));
  entries.emplace_back("Height", make_number(tensor.height));
  entries.emplace_back("Width", make_number(tensor.width));
  entries.emplace_back("Interleave", make_number(1));
  if (strides) {
    entries.emplace_back("RowStride", make_number(tensor.row_stride));
    entries.emplace_back("PlaneStride", make_number(tensor.plane_stride));
    entries.emplace_back("BatchStride", make_number(tensor.batch_stride));
  }
  return make_dictionary(std::move(entries));
}

Ref live_list(const std::vector<Tensor>& tensors, bool strides) {
  std::vector<Ref> items;
  for (const Tensor& tensor : tensors) items.push_back(live_entry(tensor, strides));
  return make_array(std::move(items));
}

Ref network_list(const Program& program, bool strides) {
  std::vector<Ref> networks;
  for (const Procedure& procedure : program.procedures()) {
    Entries entries;
    entries.emplace_back("Name", make_string(procedure.name));
    entries.emplace_back("LiveInputList", live_list(procedure.inputs, strides));
    entries.emplace_back("LiveOutputList", live_list(procedure.outputs, strides));
    networks.push_back(make_dictionary(std::move(entries)));
  }
  return make_array(std::move(networks));
}

Ref description(const Program& program) {
  std::vector<Ref> procedures, inputs, outputs, alignment;
  Entries ids;
  std::int64_t id_number = 0;
  for (const Procedure& procedure : program.procedures()) {
    Entries entry;
    entry.emplace_back("ANEFModelProcedureID", make_number(id_number));
    entry.emplace_back("ANEFModelInputSymbolIndexArray", number_array(procedure.input_symbols));
    entry.emplace_back("ANEFModelOutputSymbolIndexArray", number_array(procedure.output_symbols));
    procedures.push_back(make_dictionary(std::move(entry)));
    ids.emplace_back(procedure.name, make_number(id_number++));
    for (const Tensor& tensor : procedure.inputs) {
      inputs.push_back(make_string(tensor.symbol));
      alignment.push_back(make_number(0));
    }
    for (const Tensor& tensor : procedure.outputs) outputs.push_back(make_string(tensor.symbol));
  }
  Entries entries;
  entries.emplace_back("ANEFModelProcedures", make_array(std::move(procedures)));
  entries.emplace_back("kANEFModelInputSymbolsArrayKey", make_array(std::move(inputs)));
  entries.emplace_back("kANEFModelOutputSymbolsArrayKey", make_array(std::move(outputs)));
  entries.emplace_back("ANEFModelInput16KAlignmentArray", make_array(std::move(alignment)));
  entries.emplace_back("kANEFModelProcedureNameToIDMapKey", make_dictionary(std::move(ids)));
  return make_dictionary(std::move(entries));
}

}  // namespace

Ref attributes_of(const Program& program, const Settings& settings) {
  const Attributes told = settings.attributes;
  Entries entries;
  if (told != Attributes::none && told != Attributes::no_layout) {
    entries.emplace_back("NetworkStatusList",
                         network_list(program, told != Attributes::no_strides));
  }
  if (told != Attributes::none && told != Attributes::no_symbols) {
    entries.emplace_back("ANEFModelDescription", description(program));
  }
  return make_dictionary(std::move(entries));
}

}  // namespace anemone::fake_ane
