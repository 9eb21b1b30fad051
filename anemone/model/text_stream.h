// Generated text on its way to a reader: pieces come in as tokens give them and go out as whole
// characters of UTF-8, up to the first stop string.
//
// What might still become a stop string, or is the beginning of a character, waits. Bytes that are
// no UTF-8 go out as they are, as soon as nothing can make them whole.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace anemone::model {

class TextStream {
 public:
  using Emit = std::function<void(std::string_view text)>;

  // Throws Error for an empty stop string.
  TextStream(std::vector<std::string> stops, Emit emit);

  // True when a stop string is complete: what came before it has gone out, nothing will any more.
  bool push(std::string_view piece);
  // No more pieces: what waited goes out.
  void finish();

  const std::string& text() const { return text_; }  // all that went out

 private:
  void release(std::size_t bytes);
  std::vector<std::string> stops_;
  Emit emit_;
  std::string waiting_, text_;
  bool stopped_ = false;
};

}  // namespace anemone::model
