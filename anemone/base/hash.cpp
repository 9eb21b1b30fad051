// XXH3-128 by libxxhash.
#include "anemone/base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <iterator>

#include "anemone/base/error.h"

namespace anemone {

struct ContentHash::State {
  XXH3_state_t* xxh = XXH3_createState();  // 64-byte aligned by the library
  ~State() { XXH3_freeState(xxh); }
};

namespace {

std::string to_hex(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  }
  return text;
}

}  // namespace

ContentHash::ContentHash() : state_(std::make_unique<State>()) {
  ANEMONE_CHECK(state_->xxh != nullptr, "memory for a hash state");
  XXH3_128bits_reset(state_->xxh);
}

ContentHash::~ContentHash() = default;

void ContentHash::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

std::string ContentHash::hex() const { return to_hex(XXH3_128bits_digest(state_->xxh)); }

std::string content_hash(std::span<const std::byte> bytes) {
  return to_hex(XXH3_128bits(bytes.data(), bytes.size()));
}

}  // namespace anemone
