// The loss curves of runs, from their metrics, as a picture.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "anemone/train/svg_chart.h"

namespace anemone::train {

// Training loss of each update, faint, and smoothed over about a fiftieth of the run; validation
// loss. Every run is a run folder, or its metrics.jsonl. Throws Error for one that cannot be read
// or has no updates.
Chart loss_chart(std::span<const std::filesystem::path> runs);

}  // namespace anemone::train
