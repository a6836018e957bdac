#include <cmath>

#include "pretrain/schedule.h"
#include "support/catch.h"
#include "support/recipe_files.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("the ImageNet recipe of DINOv2 holds the official numbers") {
  const PretrainRun run = pretraining(recipe_folder() + "imagenet/dinov2_vit_large.yaml");
  const RunOptions& o = run.options;
  CHECK(o.model.embed_dim == 1024);
  CHECK(o.model.layer_scale == 1e-5);
  CHECK(o.model.drop_path == 0.3);
  CHECK(o.model.drop_path_mode == DropPathMode::uniform);
  CHECK(peak_lr(o) == Approx(4e-3 * std::sqrt(2.0)));
  CHECK(o.schedule.min_lr == 1e-6);
  CHECK(o.schedule.warmup_epochs / static_cast<double>(o.train.epochs) == Approx(0.1));
  CHECK(o.optimizer.clip_grad == 3);
  CHECK(o.optimizer.clip_mode == ClipMode::per_network);
  CHECK(o.optimizer.layer_decay == 0.9);
  const auto views = run.build()->views();
  REQUIRE(views.size() == 3);
  CHECK(views[0].scale == std::vector<double>{0.32, 1});
  CHECK(views[0].blur == 0);
  CHECK(views[1].blur == 0.9);
  CHECK(views[1].solarize == 0.2);
  CHECK(views[2].count == 8);
  CHECK(views[2].width == 96);
  CHECK(views[2].scale == std::vector<double>{0.05, 0.32});
  CHECK(views[2].blur == 0.5);
}
