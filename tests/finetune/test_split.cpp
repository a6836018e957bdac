#include <algorithm>
#include <set>

#include "finetune/split.h"
#include "support/catch.h"

using namespace previt;

TEST_CASE("a stratified split holds out its share of every class and loses nothing") {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 200; ++i) labels.push_back(i % 2 == 0 ? 0 : 1 + i % 3 / 2);
  labels.push_back(7);                  // a class of one stays in training
  labels.insert(labels.end(), {8, 8});  // a class of two is divided
  const auto split = stratified_split(labels, 0.1, 3);

  std::map<int64_t, int64_t> held, all;
  for (const int64_t label : labels) ++all[label];
  for (const int64_t i : split.held_out) ++held[labels[static_cast<size_t>(i)]];
  CHECK(held[0] == 10);
  CHECK(held[1] == std::llround(0.1 * static_cast<double>(all[1])));
  CHECK(held[7] == 0);
  CHECK(held[8] == 1);

  std::set<int64_t> together(split.train.begin(), split.train.end());
  together.insert(split.held_out.begin(), split.held_out.end());
  CHECK(together.size() == labels.size());
  CHECK(split.train.size() + split.held_out.size() == labels.size());

  CHECK(stratified_split(labels, 0.1, 3).held_out == split.held_out);
  CHECK(stratified_split(labels, 0.1, 4).held_out != split.held_out);
  const auto first = std::vector<int64_t>(split.held_out.begin(), split.held_out.begin() + 10);
  CHECK(first.back() > 20);  // not simply the first of each class
}
