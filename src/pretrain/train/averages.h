#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "pretrain/objective.h"

namespace previt {

using Scalars = std::vector<std::pair<std::string, double>>;

/// Weighted means of metrics since the last reset. Values stay on their device until they are read.
class Averages {
 public:
  /// Adds a scalar that is a mean over `weight` images.
  void add(const std::string& name, const at::Tensor& value, double weight);
  void add(const std::string& name, double value, double weight);
  void add(const Metrics& metrics, double weight);
  /// Adds what another one has collected.
  void merge(const Averages& other);
  void reset() { sums_.clear(); }

  /// In order of name.
  Scalars means() const;

  /// Those of all ranks together; collective.
  Averages of_all_ranks() const;

  /// The sums as JSON, {name: [sum, weight]}, and back, exactly.
  nlohmann::json save() const;
  void load(const nlohmann::json& saved);

 private:
  struct Sum {
    at::Tensor tensor;
    double number = 0;
    double weight = 0;
    double total() const;
  };
  std::map<std::string, Sum> sums_;
};

}  // namespace previt
