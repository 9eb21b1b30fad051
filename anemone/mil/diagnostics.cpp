// Collecting diagnostics and showing them on their source line.
#include "anemone/mil/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "anemone/base/counted.h"
#include "anemone/mil/utf8.h"

namespace anemone::mil {
namespace {

constexpr std::size_t kShownColumns = 100;  // of a long line, around the place

// The line as a terminal can show it: no control characters, no broken UTF-8.
std::string printable(std::string_view line) {
  std::string shown;
  for (std::size_t i = 0; i < line.size();) {
    const auto byte = static_cast<unsigned char>(line[i]);
    const std::size_t length = utf8_length(line.substr(i));
    if (length == 0 || byte == 0x7f || (byte < 0x20 && byte != '\t')) {
      shown += '?';
      ++i;
      continue;
    }
    if (byte == '\t') {
      shown += ' ';
    } else {
      shown += line.substr(i, length);
    }
    i += length;
  }
  return shown;
}

std::size_t characters(std::string_view shown) {
  return static_cast<std::size_t>(std::count_if(shown.begin(), shown.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// The line with a caret below column `column` (1-based, in bytes).
std::string excerpt(std::string_view line, std::size_t column) {
  std::size_t at = std::min(column - 1, line.size());
  std::string_view before = line.substr(0, at), after = line.substr(at);
  std::string_view cut_before, cut_after;
  if (before.size() > kShownColumns / 2) {
    before.remove_prefix(before.size() - kShownColumns / 2);
    cut_before = "…";
  }
  if (after.size() > kShownColumns / 2) {
    after = after.substr(0, kShownColumns / 2);
    cut_after = "…";
  }
  // A cut must not leave half a character.
  while (!cut_before.empty() && !before.empty() && is_utf8_continuation(before.front())) {
    before.remove_prefix(1);
  }
  while (!cut_after.empty() && !after.empty() && utf8_length(after.substr(after.size() - 1)) == 0) {
    after.remove_suffix(1);
  }
  const std::string head = printable(before);
  const std::size_t indent = characters(head) + (cut_before.empty() ? 0 : 1);
  return fmt::format("    {}{}{}{}\n    {}^\n", cut_before, head, printable(after), cut_after,
                     std::string(indent, ' '));
}

// Where the first `count` lines begin, found once for all diagnostics. No more of the text is read
// than is shown: it may be a disk image that was taken for MIL.
class Lines {
 public:
  Lines(std::string_view text, std::size_t count) : text_(text) {
    begins_.push_back(0);
    while (begins_.size() < count) {
      const std::size_t end = text.find('\n', begins_.back());
      if (end == std::string_view::npos) break;
      begins_.push_back(end + 1);
    }
  }
  bool has(std::uint32_t number) const { return number >= 1 && number <= begins_.size(); }
  // A line, up to some way behind `column`.
  std::string_view line(std::uint32_t number, std::uint32_t column) const {
    std::string_view line =
        text_.substr(begins_[number - 1], std::size_t{column} + 2 * kShownColumns);
    line = line.substr(0, line.find('\n'));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> begins_;
};

bool before(SourceLocation a, SourceLocation b) {
  return a.line != b.line ? a.line < b.line : a.column < b.column;
}

}  // namespace

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::note:
      return "note";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  return "?";
}

Diagnostics::Diagnostics(std::string file, std::string_view text)
    : file_(std::move(file)), text_(without_byte_order_mark(text)) {}

void Diagnostics::add(Severity severity, SourceLocation location, std::string message) {
  if (severity == Severity::error) ++errors_;
  const bool keep = severity == Severity::error ? errors_ <= kMaxErrors : !full();
  if (keep) all_.push_back({severity, location, std::move(message)});
}

void Diagnostics::error(SourceLocation location, std::string message) {
  add(Severity::error, location, std::move(message));
}

void Diagnostics::warning(SourceLocation location, std::string message) {
  add(Severity::warning, location, std::move(message));
}

void Diagnostics::note(SourceLocation location, std::string message) {
  add(Severity::note, location, std::move(message));
}

std::vector<Diagnostic> Diagnostics::all() const {
  // Sort positions of the heads; each keeps the notes that follow it.
  std::vector<std::size_t> heads;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (all_[i].severity != Severity::note || i == 0) heads.push_back(i);
  }
  std::stable_sort(heads.begin(), heads.end(), [this](std::size_t a, std::size_t b) {
    return before(all_[a].location, all_[b].location);
  });
  std::vector<Diagnostic> sorted;
  for (const std::size_t head : heads) {
    sorted.push_back(all_[head]);
    for (std::size_t i = head + 1; i < all_.size() && all_[i].severity == Severity::note; ++i) {
      sorted.push_back(all_[i]);
    }
  }
  return sorted;
}

std::string Diagnostics::summary() const { return counted(errors_, "error") + " in " + file_; }

std::string Diagnostics::render() const {
  const std::vector<Diagnostic> sorted = all();
  std::uint32_t last = 0;
  for (const Diagnostic& diagnostic : sorted) last = std::max(last, diagnostic.location.line);
  const Lines lines(text_, last);
  std::string rendered;
  for (const Diagnostic& diagnostic : sorted) {
    const auto [line, column] = diagnostic.location;
    rendered += file_;
    if (line != 0) rendered += fmt::format(":{}:{}", line, column);
    rendered += fmt::format(": {}: {}\n", severity_name(diagnostic.severity), diagnostic.message);
    if (lines.has(line) && column != 0) rendered += excerpt(lines.line(line, column), column);
  }
  if (errors_ > kMaxErrors) {
    rendered += fmt::format("{}: {} more errors are not shown\n", file_, errors_ - kMaxErrors);
  }
  return rendered;
}

void Diagnostics::throw_if_errors() const {
  if (has_errors()) throw DiagnosticError(render(), summary());
}

}  // namespace anemone::mil
