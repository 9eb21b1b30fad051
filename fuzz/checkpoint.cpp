// The checkpoint reader on any files. The first byte of the input says how the rest becomes a
// folder: 0 the rest is a manifest's text, to be parsed alone; 1 to 255 the rest is state.json (so
// many bytes) and then tensors.safetensors, under a manifest that is right for them, so that what
// lies behind the hashes is reached too.
#include "anemone/train/checkpoint.h"

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "anemone/base/error.h"
#include "anemone/base/hash.h"
#include "anemone/train/checkpoint_manifest.h"

namespace {

namespace fs = std::filesystem;
using anemone::train::FileEntry;
using anemone::train::Manifest;

// One folder for the whole process, in memory where that is to be had.
const fs::path& folder() {
  static const fs::path made = [] {
    std::error_code error;
    const bool in_memory = fs::is_directory("/dev/shm", error);
    const fs::path parent = in_memory ? fs::path("/dev/shm") : fs::temp_directory_path();
    std::string name = (parent / "anemone-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) __builtin_trap();
    return fs::path(name);
  }();
  return made;
}

FileEntry write(const char* name, std::string_view contents) {
  std::ofstream(folder() / name, std::ios::binary) << contents;
  return {name, contents.size(), anemone::content_hash(std::as_bytes(std::span(contents)))};
}

void parse_manifest(std::string_view text) {
  const Manifest manifest = anemone::train::parse_manifest(text);
  if (anemone::train::to_text(manifest) != text) __builtin_trap();
}

void load_folder(std::string_view state, std::string_view tensors) {
  const Manifest manifest{1, {write("state.json", state), write("tensors.safetensors", tensors)}};
  write("manifest.json", anemone::train::to_text(manifest));
  const auto loaded = anemone::train::CheckpointStore::load(folder());
  if (loaded.state_json != state) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    if (data[0] == 0) {
      parse_manifest(text);
    } else {
      const auto state = text.substr(0, data[0]);
      load_folder(state, text.substr(state.size()));
    }
  } catch (const anemone::Error&) {
  }
  return 0;
}
