#include "commands/bench_knn.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/main.h"
#include "error.h"
#include "finetune/probes/knn.h"
#include "models/layers/unit_length.h"

namespace previt::cli {
namespace {

constexpr int64_t kPlainBlock = 256;  // queries that are compared with all features at a time

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// The obvious way: the similarities of a block of queries to all features, then top-k.
at::Tensor plain_search(const at::Tensor& train, const at::Tensor& queries, int64_t k) {
  at::Tensor ids = torch::empty({queries.size(0), k}, torch::kLong);
  for (int64_t first = 0; first < queries.size(0); first += kPlainBlock) {
    const at::Tensor similar = torch::mm(queries.slice(0, first, first + kPlainBlock), train.t());
    ids.slice(0, first, first + kPlainBlock).copy_(std::get<1>(similar.topk(k, 1)));
  }
  return ids;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int measure_knn(const po::variables_map& args) {
  const auto number = [&](const char* name) {
    const auto value = args[name].as<int64_t>();
    if (value < 1) fail_usage("--{}: {} is not in [1, inf)", name, value);
    return value;
  };
  const int64_t k = number("k"), repeats = number("repeats"), width = number("width");
  torch::manual_seed(0);
  const at::Tensor train = unit_length(torch::randn({number("train"), width}));
  const at::Tensor queries = unit_length(torch::randn({number("queries"), width}));
  std::vector<double> own, plain;
  at::Tensor found, wanted;
  for (int64_t i = 0; i < repeats; ++i) {  // in turn, so that other load on the machine slows both
    plain.push_back(milliseconds([&] { wanted = plain_search(train, queries, k); }));
    own.push_back(milliseconds([&] { found = nearest(train, queries, k).ids; }));
  }
  const nlohmann::ordered_json line = {
      {"milliseconds", median(own)},
      {"plain_milliseconds", median(plain)},
      {"ratio", median(own) / median(plain)},
      {"same_neighbours", (found == wanted).to(torch::kFloat).mean().item<double>()},
      {"train", train.size(0)},
      {"queries", queries.size(0)},
      {"width", width},
      {"k", k},
      {"repeats", repeats}};
  print(line.dump() + "\n");
  return 0;
}

}  // namespace

int bench_knn(int argc, char** argv) {
  po::options_description options("Options");
  const auto number = [](int64_t value) { return po::value<int64_t>()->default_value(value); };
  auto add = options.add_options();
  add("train", number(50000), "training features");
  add("queries", number(10000), "features that are classified");
  add("width", number(384), "of a feature");
  add("k", number(20), "neighbours");
  add("repeats", number(3), "times that each is run; the median counts");
  return run(argc,
             argv,
             "bench knn: times the exact neighbour search of knn_probe beside one plain matrix "
             "product and\ntop-k of the same size in blocks.",
             options,
             measure_knn);
}

}  // namespace previt::cli
