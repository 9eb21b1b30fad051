// The content hash of files: XXH3-128, printed as `xxhsum -H128` prints it.
//
// It finds damage (bit flips, truncation, swapped blocks), not forgery.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace anemone {

class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  void update(std::span<const std::byte> bytes);
  std::string hex() const;  // 32 digits: the hash of everything given so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string content_hash(std::span<const std::byte> bytes);

}  // namespace anemone
