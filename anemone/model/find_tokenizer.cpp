// The names that llama2.c and its users give to vocabularies.
#include "anemone/model/find_tokenizer.h"

#include <fmt/format.h>

#include "anemone/base/error.h"

namespace anemone::model {

namespace fs = std::filesystem;

std::string find_tokenizer(const fs::path& model, std::int64_t vocab) {
  constexpr std::int64_t kBytes = 256;
  if (vocab == kBytes) return "bytes";
  const fs::path folder = fs::is_directory(model) ? model : model.parent_path();
  std::string looked;
  for (const std::string& name : {std::string("tokenizer.bin"), fmt::format("tok{}.bin", vocab)}) {
    if (fs::is_regular_file(folder / name)) return (folder / name).string();
    looked += (looked.empty() ? "" : " or ") + (folder / name).string();
  }
  throw Error(fmt::format("no tokenizer of {} tokens is found", vocab), model.string(),
              looked + ", or --tokenizer FILE");
}

}  // namespace anemone::model
