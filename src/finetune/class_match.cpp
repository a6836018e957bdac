#include "finetune/class_match.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "error.h"
#include "first_few.h"
#include "nearest_word.h"

namespace previt {
namespace {

using Names = std::vector<std::string>;

const std::string kLabel = "LABEL_";  // what Hugging Face calls classes that nobody named

bool only_digits(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

bool is_number(const std::string& name) {
  return only_digits(name.starts_with(kLabel) ? name.substr(kLabel.size()) : name);
}

bool is_wordnet_id(const std::string& name) {
  return name.size() == 9 && name.front() == 'n' && only_digits(name.substr(1));
}

bool only_ids(const Names& names) { return std::all_of(names.begin(), names.end(), is_wordnet_id); }

// The number of each class by its name; -1 where several classes share the name.
std::map<std::string, int64_t> numbers_of(const Names& names) {
  std::map<std::string, int64_t> numbers;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool first = numbers.emplace(names[i], static_cast<int64_t>(i)).second;
    if (!first) numbers[names[i]] = -1;
  }
  return numbers;
}

// Names can't be compared where one side has only numbers or ids, and the other has words. Numbers
// on both sides are names too, and not taken for positions.
bool has_nothing_to_compare(const ClassList& model, const ClassList& data) {
  if (only_numbered(model.names, model.count)) {
    const bool unnamed = static_cast<int64_t>(model.names.size()) != model.count ||
                         model.names.empty() || model.names.front().starts_with(kLabel);
    return unnamed || !std::all_of(data.names.begin(), data.names.end(), is_number);
  }
  // Names in alphabetical order came from folders. Their order says nothing about ids.
  const bool were_folders = std::is_sorted(model.names.begin(), model.names.end());
  return only_ids(data.names) ? !only_ids(model.names) && !were_folders : only_ids(model.names);
}

// The place of each name in the list. Numbers are placed by value: in folders 0, 1, 10, 11, 2 …
// the number is the place that was meant.
std::vector<int64_t> places_of(const Names& names) {
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (std::all_of(names.begin(), names.end(), is_number)) {
    const auto value = [&](size_t i) {  // without leading zeros: the longer, the larger
      const auto first = names[i].find_first_of("123456789");
      const std::string digits = first == std::string::npos ? "" : names[i].substr(first);
      return std::pair(digits.size(), digits);
    };
    std::stable_sort(
        order.begin(), order.end(), [&](size_t a, size_t b) { return value(a) < value(b); });
  }
  std::vector<int64_t> places(names.size());
  for (size_t i = 0; i < order.size(); ++i) places[order[i]] = static_cast<int64_t>(i);
  return places;
}

ClassMatch by_position(const ClassList& model, const ClassList& data, const std::string& advice) {
  require(model.count == data.count,
          "{}: its {} classes have no names, only places, but {} has {} ({}){}",
          model.place,
          model.count,
          data.place,
          data.count,
          first_few(data.names),
          advice);
  ClassMatch match{.in_model = places_of(data.names), .by_position = true, .note = ""};
  Names placed(data.names.size());
  for (size_t i = 0; i < placed.size(); ++i) {
    placed[static_cast<size_t>(match.in_model[i])] = data.names[i];
  }
  match.note = fmt::format(
      "{}: its classes have no names to match with those of {}: they are taken by position ({})",
      model.place,
      data.place,
      first_few(placed));
  return match;
}

[[noreturn]] void fail_unknown(const ClassList& model,
                               const ClassList& data,
                               const Names& unknown,
                               const std::string& advice) {
  const std::string near = nearest_word(unknown.front(), model.names);
  fail("{}: {} knows no class {}{}{}; it knows {}{}",
       data.place,
       model.place,
       unknown.front(),
       near.empty() ? "" : fmt::format(" (is it {}?)", near),
       unknown.size() > 1 ? fmt::format(", nor {} more of the data", unknown.size() - 1) : "",
       first_few(model.names),
       advice);
}

std::string note_of(const ClassMatch& match, const ClassList& model, const ClassList& data) {
  std::vector<int64_t> known = match.in_model;
  std::erase(known, -1);
  if (std::ssize(known) < model.count) {
    return fmt::format("{}: has {} of the {} classes that {} knows",
                       data.place,
                       known.size(),
                       model.count,
                       model.place);
  }
  if (std::is_sorted(known.begin(), known.end())) return "";
  return fmt::format("{}: has its classes in another order than {}; they are matched by name",
                     data.place,
                     model.place);
}

}  // namespace

bool only_numbered(const Names& names, int64_t count) {
  return static_cast<int64_t>(names.size()) != count || names.empty() ||
         std::all_of(names.begin(), names.end(), is_number);
}

ClassMatch match_classes(const ClassList& model, const ClassList& data, const std::string& advice) {
  const bool named = static_cast<int64_t>(model.names.size()) == model.count;
  const bool same = model.names == data.names;
  const auto numbers = numbers_of(named ? model.names : Names());
  ClassMatch match;
  Names unknown;
  bool any_known = false;
  for (size_t i = 0; i < data.names.size(); ++i) {
    const std::string& name = data.names[i];
    const auto known = numbers.find(name);
    if (known == numbers.end()) {
      if (data.there.empty() || data.there.at(i)) unknown.push_back(name);
      match.in_model.push_back(-1);
      continue;
    }
    any_known = true;
    // Classes of one name are told apart only where both sides list the same.
    require(known->second >= 0 || same,
            "{}: several of its classes are called {}, which {} has too",
            model.place,
            name,
            data.place);
    match.in_model.push_back(same ? static_cast<int64_t>(i) : known->second);
  }
  if (!any_known && has_nothing_to_compare(model, data)) {
    return by_position(model, data, advice);
  }
  if (!unknown.empty()) fail_unknown(model, data, unknown, advice);
  match.note = note_of(match, model, data);
  return match;
}

}  // namespace previt
