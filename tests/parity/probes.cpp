#include "finetune/probes/features.h"
#include "finetune/probes/knn.h"
#include "finetune/probes/linear_head.h"
#include "models/kernels/precision.h"
#include "parity/parity.h"
#include "parity/vit.h"
#include "pretrain/schedule.h"
#include "pretrain/train/optimizer.h"

namespace previt::parity {
PARITY_CASE(dino_knn) {
  const at::Tensor train = fixture.at("input.train_features");
  const at::Tensor test = fixture.at("input.test_features");
  const at::Tensor labels = fixture.at("input.train_labels");
  const double temperature = fixture.number("T");
  const int64_t classes = fixture.integer("num_classes");
  KnnOptions options{.ks = fixture.config.at("ks").get<std::vector<int64_t>>(),
                     .temperatures = {temperature}};
  for (const int64_t k : options.ks) {
    const auto want = [&](const char* name) {
      return fixture.at(fmt::format("output.{}_k{}", name, k));
    };
    const Neighbours found = nearest(train, test, k);
    check.exact(fmt::format("neighbours {}", k), found.ids, want("neighbours"));
    check.t1(fmt::format("similarities {}", k), found.similarities, want("similarities"));
    const at::Tensor votes = knn_votes(found, labels, k, temperature, classes);
    const at::Tensor scale = (want("similarities").slice(1, 0, 1) / temperature).exp();
    const at::Tensor relative = want("scores") / scale;  // ours are divided by the nearest one's
    check.absolute(fmt::format("scores {}", k), votes, relative, 1e-5 * static_cast<double>(k));
    check.exact(fmt::format("prediction {}", k), votes.argmax(1), want("prediction"));
  }
  const LabelledFeatures queries{test, fixture.at("input.test_labels")};
  for (const KnnScore& score : knn_classify({train, labels}, &queries, options)) {
    const std::string key = fmt::format("output.top1_top5_k{}", score.k);
    check.t4(key, torch::tensor({score.top1, score.top5}, torch::kFloat64), fixture.at(key));
  }
}

PARITY_CASE(dino_linear) {
  VitOptions options = vit_options(fixture);
  options.pos_resize = ResizeConvention::dino;
  const auto vit = load_vit(fixture, options, check);
  vit->eval();
  const at::Tensor images = fixture.given("input.imgs");
  const auto features = [&](FeatureTokens tokens, int64_t blocks) {
    return features_of(*vit, images, {.tokens = tokens, .blocks = blocks}).detach();
  };
  const int64_t one = fixture.integer("n_last_blocks_avg");
  const at::Tensor both = features(FeatureTokens::cls_mean, one);
  check.t1("features_n1", features(FeatureTokens::cls, one), fixture.at("output.features_n1"));
  check.t1("features_n1_avgpool", both, fixture.at("output.features_n1_avgpool"));
  check.t1("features_multi",
           features(FeatureTokens::cls, fixture.integer("n_last_blocks_multi")),
           fixture.at("output.features_multi"));

  LinearHead head(
      LinearHeadOptions{.width = both.size(1), .classes = fixture.integer("num_labels")});
  {
    const torch::NoGradGuard no_grad;
    head->weight.copy_(fixture.at("weight_linear.linear.weight"));
    head->bias.copy_(fixture.at("weight_linear.linear.bias"));
  }
  head->to(device());
  OptimizerOptions sgd;
  sgd.name = OptimizerKind::sgd;
  sgd.momentum = fixture.number("momentum");
  const auto optimizer = make_optimizer(sgd, trained_parameters(*head, decay_all()));
  std::vector<at::Tensor> losses;
  // CosineAnnealingLR to 0, stepped once an epoch, which is of one step here.
  const Schedule rate = per_epoch_schedule(fixture.number("lr"), 1);
  std::vector<double> rates;
  for (int64_t step = 0; step < fixture.integer("steps"); ++step) {
    losses.push_back(torch::cross_entropy_loss(head->forward(both), fixture.given("input.target")));
    optimizer->zero_grad();
    losses.back().backward();
    rates.push_back(
        rate({.step = step, .steps_per_epoch = 1, .epochs = fixture.integer("epochs")}));
    optimizer->step(rates.back(), 0);
  }
  check.t1("losses", torch::stack(losses).detach(), fixture.at("output.losses"));
  check.t4("lrs", torch::tensor(rates, torch::kFloat64), fixture.at("output.lrs"));
  check.t1("weight", head->weight.detach(), fixture.at("output.weight_linear.linear.weight"));
  check.t1("bias", head->bias.detach(), fixture.at("output.weight_linear.linear.bias"));
}

}  // namespace previt::parity
