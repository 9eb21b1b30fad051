// manifest.json of a checkpoint: the size and hash of each of its files, and the hash of itself.
//
// There is one text for a manifest, so a reader writes what it read again and compares: a bit
// flipped anywhere, in white space too, shows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace anemone::train {

struct FileEntry {
  std::string name;
  std::uint64_t bytes = 0;
  std::string hash;  // anemone/base/hash.h
};

struct Manifest {
  std::uint64_t step = 0;
  std::vector<FileEntry> files;
};

std::string to_text(const Manifest& manifest);

// Throws Error naming "manifest.json". Any bytes are safe input.
Manifest parse_manifest(std::string_view text);

}  // namespace anemone::train
