// `anemone eval`: how well a model predicts given tokens.
#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anemone/base/counted.h"
#include "anemone/base/error.h"
#include "anemone/cli/command.h"
#include "anemone/cli/engine_name.h"
#include "anemone/cli/input_text.h"
#include "anemone/cli/status_line.h"
#include "anemone/cli/text_argument.h"
#include "anemone/cli/whole_number.h"
#include "anemone/engine/engines.h"
#include "anemone/model/find_tokenizer.h"
#include "anemone/nn/language_model.h"
#include "anemone/text/token_shards.h"
#include "anemone/text/tokenizer.h"
#include "anemone/train/data_source.h"
#include "anemone/train/evaluation.h"
#include "anemone/train/run_config.h"
#include "anemone/train/takes_programs.h"
#include "anemone/train/text_cache.h"
#include "anemone/train/trainer.h"

namespace anemone::cli {
namespace {

struct EvalFlags {
  std::string model, data, ids, tokenizer;
  std::vector<std::string> text;
  train::EngineConfig engine;
  bool json = false;
};

// The tokens to predict, from files of token ids, from a text of numbers, or from text that the
// model's tokenizer takes.
class Tokens {
 public:
  // Finds the files, before the model is loaded.
  explicit Tokens(const EvalFlags& flags) {
    if (!flags.text.empty()) {
      where_ = flags.text.front();
      check_text(flags.text);
    } else if (flags.data.empty()) {
      where_ = flags.ids;
      text_ = std::make_unique<InputText>(flags.ids);
    } else {
      where_ = flags.data;
      files_ = text::expand_patterns(train::split_patterns(flags.data));
    }
  }
  // Token ids of the text, kept as those of a training text are.
  void encode(const std::vector<std::string>& text, const std::string& tokenizer) {
    files_ = {train::cache_text(text, tokenizer, train::cache_folder()).tokens};
  }
  // Throws Error for ids that are not below the vocabulary, and too few of them.
  void load(std::int64_t vocabulary) {
    if (text_ == nullptr)
      shards_ = std::make_unique<text::TokenShards>(files_, static_cast<std::uint64_t>(vocabulary));
    else
      parse(vocabulary);
    if (size() < 2)
      throw Error(fmt::format("{}: there is nothing to predict", counted(size(), "token")), where_,
                  "at least 2 tokens");
  }

  // What the files say about themselves; 0 = nothing.
  std::uint64_t vocabulary() const { return shards_ ? shards_->vocabulary() : 0; }
  const std::string& where() const { return where_; }

  std::uint64_t size() const { return shards_ ? shards_->size() : ids_.size(); }
  void read(std::uint64_t begin, std::span<std::uint32_t> ids) const {
    if (shards_) return shards_->read(begin, ids);
    std::copy_n(ids_.begin() + static_cast<std::ptrdiff_t>(begin), ids.size(), ids.begin());
  }

 private:
  void parse(std::int64_t vocabulary) {
    const std::string_view text = text_->view();
    const std::string where = where_ == kStandardInput ? "<stdin>" : where_;
    constexpr std::string_view kSpace = " \t\r\n\v\f";
    for (std::size_t begin = text.find_first_not_of(kSpace); begin != std::string_view::npos;
         begin = text.find_first_not_of(kSpace, begin)) {
      const std::size_t end = std::min(text.find_first_of(kSpace, begin), text.size());
      const std::string_view word = text.substr(begin, end - begin);
      std::uint32_t id = 0;
      const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), id);
      if (error != std::errc() || stop != word.data() + word.size() || id >= vocabulary)
        throw Error(fmt::format("'{}' is no token of the model", word.substr(0, 40)),
                    fmt::format("{}, number {}", where, ids_.size() + 1),
                    fmt::format("ids from 0 to {}, separated by white space", vocabulary - 1));
      ids_.push_back(id);
      begin = end;
    }
  }

  std::string where_;
  std::unique_ptr<InputText> text_;
  std::vector<std::filesystem::path> files_;
  std::unique_ptr<text::TokenShards> shards_;
  std::vector<std::uint32_t> ids_;
};

// How the tokens are cut into windows: see the help.
train::Windows windows_of(const EvalFlags& flags) {
  return flags.ids.empty() ? train::Windows::shared_ends : train::Windows::apart;
}

// Bytes of the text that the predicted tokens stand for, in windows of `length` tokens.
std::uint64_t predicted_bytes(const text::Tokenizer& tokenizer, const Tokens& tokens,
                              train::Windows windows, std::uint64_t length) {
  std::uint64_t bytes = 0;
  std::vector<std::uint32_t> pair(2);
  for (std::uint64_t i = 0; i + 1 < tokens.size(); ++i) {
    // Nothing in its window is in front of the first token.
    if (windows == train::Windows::apart && (i + 1) % length == 0) continue;
    tokens.read(i, pair);
    bytes += tokenizer.piece(pair[0], pair[1]).size();
  }
  return bytes;
}

model::TokenizerWish wish_of(const EvalFlags& flags, const train::LoadedModel& model) {
  return {flags.model, model.config.vocab, model.tokenizer, flags.tokenizer};
}

// Ids of another tokenizer would be taken for the model's.
void check_vocabulary(const model::TokenizerWish& wish, const Tokens& tokens) {
  if (tokens.vocabulary() == 0 || model::fits(wish, tokens.vocabulary())) return;
  throw Error(fmt::format("ids of a vocabulary of {} tokens", tokens.vocabulary()), tokens.where(),
              fmt::format("{}, as the model {}", wish.vocab, wish.model.string()));
}

// A window after the other, as evaluation goes through them.
class WindowProgress {
 public:
  WindowProgress(std::uint64_t tokens, std::uint64_t length)
      : count_((tokens + length - 2) / length) {}
  void begin_one() {
    if (done_ > 0 && line_.is_due())
      line_.draw(static_cast<double>(done_) / static_cast<double>(count_),
                 fmt::format("window {} of {}", done_ + 1, count_));
    ++done_;
  }

 private:
  std::uint64_t count_, done_ = 0;
  StatusLine line_;
};

train::MeanLoss evaluate(const EvalFlags& flags, train::LoadedModel& model, const Tokens& tokens) {
  train::EvaluationOptions options;
  options.compile = train::compile_options(flags.engine);
  options.windows = windows_of(flags);
  options.dtype = flags.engine.precision == "fp32" ? DType::fp32 : DType::fp16;
  WindowProgress windows(tokens.size(), static_cast<std::uint64_t>(model.config.seq));
  options.poll = [&] { windows.begin_one(); };
  nn::ModelConfig config = model.config;
  config.dtype = options.dtype;
  const auto takes = [&](const engine::Engine& candidate) {
    return train::takes_programs(candidate, options.compile, [&] {
      return nn::language_model_forward(config, candidate.traits().default_partition);
    });
  };
  const auto engine = engine::choose_engine(
      flags.engine.name, train::engine_options(flags.engine), takes,
      [](const std::string& text) { fmt::print(stderr, "anemone: warning: {}\n", text); });
  std::unique_ptr<engine::Engine> owned;
  const int threads = static_cast<int>(flags.engine.threads);
  engine::Engine& host = train::host_engine_of(*engine, threads, owned);
  const auto pool = train::threads_beside(host, threads);
  return train::evaluate(
      model, *engine, host, *pool, options, tokens.size(),
      [&](std::uint64_t begin, std::span<std::uint32_t> ids) { tokens.read(begin, ids); });
}

int run(const EvalFlags& flags) {
  if (int{!flags.text.empty()} + int{!flags.data.empty()} + int{!flags.ids.empty()} != 1)
    throw UsageError("what to predict is not clear", "--text",
                     "one of --text FILE, --data FILES and --ids FILE");
  Tokens tokens(flags);
  train::LoadedModel model = train::load_model(flags.model);
  const model::TokenizerWish wish = wish_of(flags, model);
  model::FoundTokenizer tokenizer;  // of ids only where the user names one
  if (!flags.tokenizer.empty() || !flags.text.empty()) tokenizer = model::find_tokenizer(wish);
  if (!flags.text.empty()) tokens.encode(flags.text, tokenizer.name);
  tokens.load(model.config.vocab);
  check_vocabulary(wish, tokens);
  const train::MeanLoss loss = evaluate(flags, model, tokens);
  const double nll = loss.mean();
  if (!std::isfinite(nll))
    throw Error("the model's logits are not finite", flags.model, "a model that was trained whole");
  if (const double guessing = std::log(static_cast<double>(model.config.vocab)); nll > guessing)
    fmt::print(
        stderr,
        "anemone: note: to give every token the same chance would be better ({:.4f} nats): is "
        "this the model's tokenizer?\n",
        guessing);
  double bits_per_byte = -1;
  if (tokenizer.tokenizer != nullptr) {
    const std::uint64_t bytes = predicted_bytes(*tokenizer.tokenizer, tokens, windows_of(flags),
                                                static_cast<std::uint64_t>(model.config.seq));
    if (bytes > 0)
      bits_per_byte =
          nll * static_cast<double>(loss.targets()) / std::log(2.0) / static_cast<double>(bytes);
  }
  if (flags.json) {
    nlohmann::ordered_json json;
    json["mean_nll"] = nll;
    json["perplexity"] = std::exp(nll);
    json["tokens"] = loss.targets();
    if (bits_per_byte >= 0) json["bits_per_byte"] = bits_per_byte;
    json["model"] = model.description;
    json["precision"] = flags.engine.precision;
    fmt::print("{}\n", json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
    return kExitOk;
  }
  fmt::print("{} ({}, {})\nmean_nll    {:.7f} nats a token\nperplexity  {:.4f}\ntokens      {}\n",
             flags.model, model.description, flags.engine.precision, nll, std::exp(nll),
             loss.targets());
  if (bits_per_byte >= 0) fmt::print("bits/byte   {:.4f}\n", bits_per_byte);
  return kExitOk;
}

Run setup_eval(CLI::App& app) {
  auto flags = std::make_shared<EvalFlags>();
  app.add_option("--model,-m", flags->model,
                 "A llama2.c .bin file, a Hugging Face folder, a run folder or a checkpoint")
      ->required()
      ->type_name("MODEL");
  app.add_option("--text", flags->text,
                 "Text: files and folders, made into token ids by the model's own tokenizer")
      ->type_name("FILE");
  app.add_option("--data,-d", flags->data, "Or files of token ids; patterns, separated by commas")
      ->type_name("FILES");
  app.add_option("--ids", flags->ids,
                 "Or a text of token ids separated by white space, - for standard input")
      ->type_name("FILE");
  app.add_option("--tokenizer", flags->tokenizer,
                 "Of --text (default: the model's), or what ids came from, for bits a byte: bytes, "
                 "or a tokenizer.bin")
      ->type_name("bytes|FILE");
  app.add_option("--precision", flags->engine.precision, "fp16, bf16 (products) or fp32")
      ->check(CLI::IsMember({"fp16", "bf16", "fp32"}))
      ->capture_default_str();
  app.add_option("--engine", flags->engine.name, "Which engine; auto = the best there is")
      ->check(engine_name())
      ->capture_default_str();
  app.add_option("--threads", flags->engine.threads, "0 = what affinity and cgroup allow")
      ->check(whole_number(0, engine::EngineOptions::kMostThreads))
      ->capture_default_str();
  app.add_flag("--json", flags->json, "Print the result as JSON");
  return [flags] { return run(*flags); };
}

}  // namespace

const Command eval_command = {
    "eval", "Say how well a model predicts a text, or given tokens",
    "  anemone eval --model runs/tiny --text another-book.txt\n"
    "  anemone eval --model stories15M.bin --ids story.ids --precision fp32\n"
    "  anemone eval --model runs/shakespeare --data held_out.tokens --tokenizer bytes --json\n"
    "\n"
    "Tokens are predicted from those before them. --text and --data are cut into windows of the "
    "model's length "
    "that share their\n"
    "ends, as in training: all tokens but the first are predicted. --ids is one sequence as it "
    "stands, with the token\n"
    "that begins a document, if there is one, in front; what is beyond the model's length is "
    "another sequence.",
    setup_eval};

}  // namespace anemone::cli
