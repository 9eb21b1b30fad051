// Any bytes as a blob file: every record is inside the file or refused. The last eight bytes are
// also taken as the offset of a record.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "anemone/base/error.h"
#include "anemone/mil/blob_file.h"

namespace {

void read_record(const anemone::mil::BlobReader& reader, std::uint64_t offset) {
  try {
    const auto record = reader.record(offset);
    if (record.data.size() % anemone::dtype_size(record.dtype) != 0) std::abort();
    // A sanitizer sees a byte that is not there.
    const std::vector<std::byte> copy(record.data.begin(), record.data.end());
    if (copy.size() != record.data.size()) std::abort();
  } catch (const anemone::Error&) {
    // Refused.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  try {
    const anemone::mil::BlobReader reader(bytes, "fuzz.bin");
    for (std::uint64_t offset = 0; offset < size; offset += 64) read_record(reader, offset);
    std::uint64_t offset = 0;
    std::memcpy(&offset, data + size - sizeof offset, sizeof offset);
    read_record(reader, offset);
  } catch (const anemone::Error&) {
    // No blob file.
  }
  return 0;
}
