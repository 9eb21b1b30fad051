// Compares the results in two metrics.jsonl files, as resume and determinism promise them: the
// lines of type step, update and validation, without their times ("ms", "ms_…", "…_seconds"), must
// be the same, number for number.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace anemone::train {

// What differs, at most `most` entries, as "step 12: loss: 0.5 and 0.25"; empty = the same. Throws
// Error when a file cannot be read or a line is not a JSON object.
std::vector<std::string> compare_metrics(const std::filesystem::path& first,
                                         const std::filesystem::path& second,
                                         std::size_t most = 10);

}  // namespace anemone::train
