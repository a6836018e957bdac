#include "pretrain/train/averages.h"

#include <torch/types.h>

#include <limits>
#include <sstream>

#include "across_ranks.h"

namespace previt {

void Averages::add(const std::string& name, const at::Tensor& value, double weight) {
  Sum& sum = sums_[name];
  const at::Tensor term = value.detach().to(torch::kFloat64) * weight;
  sum.tensor = sum.tensor.defined() ? sum.tensor + term : term;
  sum.weight += weight;
}

void Averages::add(const std::string& name, double value, double weight) {
  Sum& sum = sums_[name];
  sum.number += value * weight;
  sum.weight += weight;
}

void Averages::add(const Metrics& metrics, double weight) {
  for (const auto& [name, value] : metrics) add(name, value, weight);
}

void Averages::merge(const Averages& other) {
  for (const auto& [name, theirs] : other.sums_) {
    Sum& sum = sums_[name];
    if (theirs.tensor.defined()) {
      sum.tensor = sum.tensor.defined() ? sum.tensor + theirs.tensor : theirs.tensor;
    }
    sum.number += theirs.number;
    sum.weight += theirs.weight;
  }
}

double Averages::Sum::total() const {
  return number + (tensor.defined() ? tensor.item<double>() : 0);
}

Scalars Averages::means() const {
  Scalars means;
  for (const auto& [name, sum] : sums_) means.emplace_back(name, sum.total() / sum.weight);
  return means;
}

Averages Averages::of_all_ranks() const {
  if (world().alone()) return *this;
  // A line of JSON from each, as a metric may be missing on some.
  std::istringstream lines(texts_of_all(save().dump() + "\n"));
  Averages all;
  for (std::string line; std::getline(lines, line);) {
    Averages of_rank;
    of_rank.load(nlohmann::json::parse(line));
    all.merge(of_rank);
  }
  return all;
}

nlohmann::json Averages::save() const {
  nlohmann::json saved = nlohmann::json::object();
  for (const auto& [name, sum] : sums_) saved[name] = {sum.total(), sum.weight};
  return saved;
}

void Averages::load(const nlohmann::json& saved) {
  reset();
  for (const auto& [name, sum] : saved.items()) {
    // JSON has no NaN: it is written as null.
    const double total =
        sum.at(0).is_null() ? std::numeric_limits<double>::quiet_NaN() : sum.at(0).get<double>();
    sums_[name] = {{}, total, sum.at(1).get<double>()};
  }
}

}  // namespace previt
