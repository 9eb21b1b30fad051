// Holding back as little as possible.
#include "anemone/model/text_stream.h"

#include <algorithm>

#include "anemone/base/error.h"

namespace anemone::model {
namespace {

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// Bytes that a character beginning with this one has; 1 where it begins none.
std::size_t character_size(char byte) {
  const auto lead = static_cast<unsigned char>(byte);
  if (lead >= 0xf0 && lead < 0xf8) return 4;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  return 1;
}

// Bytes at the end of `text` that are the beginning of a character.
std::size_t unfinished_character(std::string_view text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const char byte = text[text.size() - back];
    if (continues(byte)) continue;
    return character_size(byte) > back ? back : 0;
  }
  return 0;
}

// Bytes at the end of `text` that a stop string begins with.
std::size_t possible_stop(std::string_view text, std::string_view stop) {
  for (std::size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size)
    if (text.ends_with(stop.substr(0, size))) return size;
  return 0;
}

}  // namespace

TextStream::TextStream(std::vector<std::string> stops, Emit emit)
    : stops_(std::move(stops)), emit_(std::move(emit)) {
  for (const std::string& stop : stops_)
    if (stop.empty()) throw Error("an empty text stops before it begins", "stop", "some text");
}

void TextStream::release(std::size_t bytes) {
  if (bytes == 0) return;
  const std::string_view out = std::string_view(waiting_).substr(0, bytes);
  text_ += out;
  if (emit_) emit_(out);
  waiting_.erase(0, bytes);
}

bool TextStream::push(std::string_view piece) {
  if (stopped_) return true;
  waiting_ += piece;
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, waiting_.find(stop));
  if (first != std::string::npos) {
    release(first);
    waiting_.clear();
    stopped_ = true;
    return true;
  }
  std::size_t held = 0;
  for (const std::string& stop : stops_) held = std::max(held, possible_stop(waiting_, stop));
  // A character that waits for its end may be cut by what waits already.
  const std::string_view free = std::string_view(waiting_).substr(0, waiting_.size() - held);
  release(free.size() - unfinished_character(free));
  return false;
}

void TextStream::finish() {
  if (!stopped_) release(waiting_.size());
}

}  // namespace anemone::model
