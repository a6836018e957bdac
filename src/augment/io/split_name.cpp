#include "augment/io/split_name.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace previt {
namespace {

// A word's place in its list is its rank.
constexpr std::array<std::string_view, 4> kTrain = {"train", "training", "trn", "trainval"};
constexpr std::array<std::string_view, 13> kVal = {"val",
                                                   "valid",
                                                   "validation",
                                                   "validate",
                                                   "validating",
                                                   "dev",
                                                   "devel",
                                                   "development",
                                                   "eval",
                                                   "evaluation",
                                                   "test",
                                                   "testing",
                                                   "tst"};
constexpr std::array<std::string_view, 28> kFiller = {
    "set",  "sets",   "data",    "dataset", "datasets", "image",    "images",
    "img",  "imgs",   "photo",   "photos",  "picture",  "pictures", "pic",
    "pics", "sample", "samples", "split",   "folder",   "dir",      "jpg",
    "jpeg", "png",    "the",     "part",    "parts",    "fold",     "v"};

template <size_t N>
int place(const std::string& word, const std::array<std::string_view, N>& words) {
  const auto at = std::find(words.begin(), words.end(), word);
  return at == words.end() ? -1 : static_cast<int>(at - words.begin());
}

bool is_upper(char c) { return std::isupper(static_cast<unsigned char>(c)) != 0; }
bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

/// "TrainImages_2" → train, images.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words;
  bool inside = false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (!is_letter(name[i])) {
      inside = false;
      continue;
    }
    // A capital behind a small letter begins a new word.
    const bool hump =
        i > 0 && is_upper(name[i]) && is_letter(name[i - 1]) && !is_upper(name[i - 1]);
    if (!inside || hump) words.emplace_back();
    words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
    inside = true;
  }
  return words;
}

/// "trainset" → "train", "imagestest" → "test".
std::string without_filler(const std::string& word) {
  for (const std::string_view filler : kFiller) {
    for (const bool front : {true, false}) {
      if (!(front ? word.starts_with(filler) : word.ends_with(filler))) continue;
      const std::string rest =
          front ? word.substr(filler.size()) : word.substr(0, word.size() - filler.size());
      if (place(rest, kTrain) >= 0 || place(rest, kVal) >= 0) return rest;
    }
  }
  return word;
}

}  // namespace

SplitName split_name(const std::string& folder) {
  SplitName name;
  int others = 0, splits = 0;
  for (const std::string& whole : words_of(folder)) {
    const std::string word = without_filler(whole);
    const int train = place(word, kTrain), val = place(word, kVal);
    if (train < 0 && val < 0) {
      if (place(word, kFiller) < 0) ++others;
      continue;
    }
    ++splits;
    name.hints_train |= train >= 0;
    name.kind = train >= 0 ? SplitName::Kind::train : SplitName::Kind::val;
    name.rank = std::max(train, val);
  }
  name.usual = folder == "train" || folder == "val" || folder == "validation" || folder == "test";
  name.hints = splits > 0;
  if (splits != 1 || others > 0) name.kind = SplitName::Kind::none;
  return name;
}

}  // namespace previt
