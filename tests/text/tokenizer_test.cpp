// Tokenizers: known encodings, every text comes back, hostile vocabularies are told why.
#include "anemone/text/tokenizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "anemone/base/error.h"
#include "anemone/base/file.h"
#include "tests/support/shared.h"

namespace anemone::text {
namespace {

void put(std::string& file, const void* value, std::size_t size) {
  file.append(static_cast<const char*>(value), size);
}

// A vocabulary in the file's format: the 259 tokens every one has, then `more`.
std::string vocabulary_file(const std::vector<std::pair<std::string, float>>& more,
                            std::uint32_t longest = 16) {
  std::vector<std::pair<std::string, float>> tokens = {{"<unk>", 0}, {"<s>", 0}, {"</s>", 0}};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
    tokens.emplace_back(text, 0.0F);
  }
  tokens.insert(tokens.end(), more.begin(), more.end());
  std::string file;
  put(file, &longest, sizeof longest);
  for (const auto& [text, score] : tokens) {
    const auto length = static_cast<std::int32_t>(text.size());
    put(file, &score, sizeof score);
    put(file, &length, sizeof length);
    file += text;
  }
  return file;
}

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& file) {
  return make_bpe_tokenizer(std::as_bytes(std::span(file.data(), file.size())), "v.bin");
}

TEST(ByteTokenizer, IsTheBytes) {
  const auto tokenizer = load_tokenizer("bytes");
  EXPECT_EQ(tokenizer->encode(std::string_view("a\0\xff", 3)), (std::vector<TokenId>{97, 0, 255}));
  EXPECT_EQ(tokenizer->vocabulary(), 256U);
  EXPECT_FALSE(tokenizer->begin());
  EXPECT_THROW(tokenizer->piece(0, 256), Error);
}

// Ids from 259: " ", a, b, c, then what joins.
TEST(BpeTokenizer, JoinsTheBestPairFirstAndTheLeftmostOfEquals) {
  const auto tokenizer = tokenizer_of(vocabulary_file({{" ", -9},
                                                       {"a", -9},
                                                       {"b", -9},
                                                       {"c", -9},
                                                       {"ab", -2},
                                                       {"bc", -1},
                                                       {"aa", -3},
                                                       {" a", -4},
                                                       {"abc", -0.5F}}));
  const auto encode = [&](std::string_view text) {
    std::vector<TokenId> ids = tokenizer->encode(text);
    EXPECT_EQ(ids.front(), 1U);
    ids.erase(ids.begin());
    return ids;
  };
  EXPECT_EQ(encode("abc"), (std::vector<TokenId>{259, 267}));       // bc, then a + bc
  EXPECT_EQ(encode("ab"), (std::vector<TokenId>{259, 263}));        // ab before " a"
  EXPECT_EQ(encode("aaa"), (std::vector<TokenId>{259, 265, 260}));  // the left two
  EXPECT_EQ(encode("aaaa"), (std::vector<TokenId>{259, 265, 265}));
  EXPECT_EQ(encode("ac"), (std::vector<TokenId>{266, 262}));  // " a"
  EXPECT_EQ(encode("<s>"), (std::vector<TokenId>{259, 3 + '<', 3 + 's', 3 + '>'}));
  EXPECT_EQ(encode("é"), (std::vector<TokenId>{259, 3 + 0xc3, 3 + 0xa9}));
  EXPECT_EQ(tokenizer->encode(""), std::vector<TokenId>{1});
}

// llama2.c's two vocabularies, where the test material is here.
std::vector<std::unique_ptr<Tokenizer>> shared_tokenizers() {
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  for (const char* name : {"models/llama2-tokenizer.bin", "models/tok512.bin"}) {
    if (const auto path = test::shared_path(name))
      tokenizers.push_back(load_tokenizer(path->string()));
  }
  return tokenizers;
}

struct Known {
  const char* text;
  std::vector<TokenId> llama2, tok512;
};

TEST(BpeTokenizer, EncodesAsLlama2c) {
  ANEMONE_SHARED_OR_SKIP(models, "models");
  const std::vector<Known> known = {
      {"Once upon a time, there was a little girl named Lily.",
       {1, 9038, 2501, 263, 931, 29892, 727, 471, 263, 2217, 7826, 4257, 365, 2354, 29889},
       {1,   429, 491, 433, 295, 429, 444, 445, 265, 262, 263, 342, 430,
        446, 277, 261, 430, 272, 340, 262, 308, 434, 434, 285, 316, 432,
        436, 438, 324, 435, 447, 328, 429, 479, 331, 451, 448}},
      {"  leading spaces, and 2,048 numbers: 3.14159!",
       {1,    259,   8236,  8162,  29892, 322,   29871, 29906, 29892, 29900, 29946, 29947,
        3694, 29901, 29871, 29941, 29889, 29896, 29946, 29896, 29945, 29929, 29991},
       {1,   429, 429, 429, 285, 336, 264, 420, 435, 404, 446, 351, 429, 473, 446, 464,
        484, 475, 324, 348, 450, 288, 487, 429, 482, 448, 469, 484, 469, 476, 490, 36}},
      {"café naïve — 東京 🙂",
       {1, 274, 28059, 1055, 30085, 345, 813, 29871, 30591, 30675, 29871, 243, 162, 156, 133},
       {1,   273, 435, 443, 198, 172, 324, 435, 198, 178, 339, 429, 229, 131,
        151, 429, 233, 160, 180, 231, 189, 175, 429, 243, 162, 156, 133}},
  };
  const auto llama2 = load_tokenizer((models / "llama2-tokenizer.bin").string());
  const auto tok512 = load_tokenizer((models / "tok512.bin").string());
  EXPECT_EQ(llama2->vocabulary(), 32000U);
  EXPECT_EQ(tok512->vocabulary(), 512U);
  for (const Known& example : known) {
    EXPECT_EQ(llama2->encode(example.text), example.llama2) << example.text;
    EXPECT_EQ(tok512->encode(example.text), example.tok512) << example.text;
  }
}

// Valid UTF-8 of all lengths, spaces and repetitions more often than others.
std::string random_text(std::mt19937_64& random) {
  std::string text;
  const std::size_t length = random() % 60;
  while (text.size() < length) {
    std::uint32_t point = 0;
    switch (random() % 5) {
      case 0:
        point = " \n\t<>0xs"[random() % 8];
        break;
      case 1:
        point = static_cast<std::uint32_t>(random() % 0x80);
        break;
      case 2:
        point = 'a' + static_cast<std::uint32_t>(random() % 26);
        break;
      case 3:
        point = 0x80 + static_cast<std::uint32_t>(random() % 0xd780);  // below the surrogates
        break;
      default:
        point = 0x10000 + static_cast<std::uint32_t>(random() % 0x100000);
    }
    if (point < 0x80) {
      text += static_cast<char>(point);
    } else if (point < 0x800) {
      text += static_cast<char>(0xc0 | point >> 6);
    } else if (point < 0x10000) {
      text += static_cast<char>(0xe0 | point >> 12);
      text += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    } else {
      text += static_cast<char>(0xf0 | point >> 18);
      text += static_cast<char>(0x80 | (point >> 12 & 0x3f));
      text += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    }
    if (point >= 0x80) text += static_cast<char>(0x80 | (point & 0x3f));
  }
  return text;
}

TEST(BpeTokenizer, EveryTextComesBack) {
  std::vector<std::unique_ptr<Tokenizer>> tokenizers = shared_tokenizers();
  tokenizers.push_back(tokenizer_of(vocabulary_file({{" ", 0}, {"ab", 1}, {"a", 0}, {"b", 0}})));
  std::mt19937_64 random(7);
  for (int i = 0; i < 10000; ++i) {
    const std::string text = random_text(random);
    for (const auto& tokenizer : tokenizers)
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << tokenizer->describe();
  }
}

TEST(BpeTokenizer, PartsGiveTheSameIds) {
  ANEMONE_SHARED_OR_SKIP(sample, "data/tinystories-sample.txt");
  const std::string text = read_text_file(sample);
  for (const auto& tokenizer : shared_tokenizers()) {
    std::vector<TokenId> ids;
    std::string_view rest = text;
    for (bool first = true; !rest.empty(); first = false) {
      const std::size_t size = tokenizer->cut(rest, 100);
      tokenizer->append(rest.substr(0, size), first, ids);
      rest.remove_prefix(size);
    }
    EXPECT_EQ(ids, tokenizer->encode(text)) << tokenizer->describe();
  }
}

TEST(BpeTokenizer, TokensBeyondALineKeepItWhole) {
  const auto tokenizer = tokenizer_of(vocabulary_file({{"\n", 0}, {"a", 0}, {"\na", 1}}));
  EXPECT_EQ(tokenizer->cut("a\na\na", 2), 5U);
  const auto other = tokenizer_of(vocabulary_file({{"\n", 0}, {"a", 0}, {"a\n", 1}}));
  EXPECT_EQ(other->cut("a\na\na", 2), 2U);
  EXPECT_EQ(other->cut("aaaa\na", 2), 5U);
}

TEST(BpeTokenizer, OtherFilesAreRefused) {
  const std::string good = vocabulary_file({{"a", 0}});
  EXPECT_NO_THROW(tokenizer_of(good));
  constexpr std::size_t kLast = 4 + 4 + 1;  // without "a" it is a vocabulary too
  for (std::size_t size = 0; size < good.size(); ++size) {
    if (size == good.size() - kLast) continue;
    EXPECT_THROW(tokenizer_of(good.substr(0, size)), Error) << size;
  }
  const auto refusal = [](const std::string& file) -> std::string {
    try {
      tokenizer_of(file);
      return "taken";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_NE(refusal(vocabulary_file({{"a", std::nanf("")}})).find("token 259: its score"),
            std::string::npos);
  EXPECT_NE(refusal(vocabulary_file({{"long", 0}}, 3)).find("bytes"), std::string::npos);
  std::string negative = vocabulary_file({});
  const std::int32_t length = -1;
  std::memcpy(negative.data() + 8, &length, sizeof length);
  EXPECT_NE(refusal(negative).find("token 0: it has -1 bytes"), std::string::npos);
  EXPECT_NE(refusal(good.substr(0, 200)).find("v.bin"), std::string::npos);
}

}  // namespace
}  // namespace anemone::text
