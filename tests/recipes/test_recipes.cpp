#include <filesystem>
#include <map>

#include "finetune/model.h"
#include "models/vit.h"
#include "pretrain/schedule.h"
#include "support/catch.h"
#include "support/recipe_files.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("every recipe names its source or the recipe it follows, and its cost") {
  for (const auto& path : all_recipes()) {
    INFO(path);
    std::FILE* file = std::fopen(path.c_str(), "r");
    REQUIRE(file != nullptr);
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    CHECK(text.starts_with("# "));
    CHECK_THAT(text, ContainsSubstring("# Cost: "));
    CHECK((text.find("# Source: ") != std::string::npos ||
           text.find("recipes/imagenet/") != std::string::npos));
  }
}

TEST_CASE("no two recipes have the same run folder unless told so") {
  std::map<std::string, std::string> of_name;
  for (const auto& path : all_recipes()) {
    const auto [known, is_new] = of_name.emplace(std::filesystem::path(path).stem(), path);
    INFO(path << " and " << known->second);
    CHECK(is_new);
  }
}

TEST_CASE("the recipes for fine-tuning BEiT take the authors' weights") {
  struct Want {
    const char *name, *arch;
    int64_t epochs;
    double layer_scale, rate, layer_decay, drop_path;
  };
  for (const Want& want : {Want{"base", "vit_base", 100, 0.1, 4e-3, 0.65, 0.1},
                           Want{"large", "vit_large", 50, 1e-5, 1e-3, 0.75, 0.2}}) {
    INFO(want.name);
    LoadedModel official;  // as files of weights tell it
    VitOptions& options = official.options;
    options.arch = want.arch;
    options.pos_embed = PosEmbed::none;
    options.rel_pos_bias = RelPosBias::shared;
    options.qkv_bias = QkvBias::qv;
    options.layer_scale = 1e-5;
    options = resolve(options);
    official.source = "official";
    auto recipe = Recipe::load(recipe_folder() + "imagenet/finetune_beit_vit_" + want.name +
                               std::string(".yaml"));
    const RunOptions run = FinetuneRun::read(recipe, &official).options;
    CHECK_NOTHROW(require_same_architecture(run.model, official));
    CHECK(run.model.layer_scale == want.layer_scale);
    CHECK(run.model.rel_pos_bias == RelPosBias::per_block);
    CHECK(run.model.drop_path == want.drop_path);
    CHECK(peak_lr(run) == want.rate);
    CHECK(run.optimizer.layer_decay == want.layer_decay);
    CHECK(run.train.epochs == want.epochs);
  }
}

TEST_CASE("the ImageNet recipes hold the official numbers of MAE") {
  struct Want {
    const char* name;
    int64_t width, depth, heads, patch, kept_of;
  };
  for (const Want& want : {Want{"base", 768, 12, 12, 16, 196},
                           Want{"large", 1024, 24, 16, 16, 196},
                           Want{"huge", 1280, 32, 16, 14, 256}}) {
    INFO(want.name);
    const auto run =
        pretraining(recipe_folder() + "imagenet/mae_vit_" + want.name + ".yaml").options;
    CHECK(run.model.embed_dim == want.width);
    CHECK(run.model.depth == want.depth);
    CHECK(run.model.num_heads == want.heads);
    CHECK(run.model.patch_size == want.patch);
    CHECK(run.model.num_patches() == want.kept_of);
    CHECK(peak_lr(run) == Approx(2.4e-3));
    CHECK(run.optimizer.betas == std::vector<double>{0.9, 0.95});
    CHECK(run.optimizer.weight_decay == 0.05);
    CHECK(run.schedule.warmup_epochs == 40);
    CHECK(run.train.epochs == 800);
    CHECK(run.train.batch == 4096);
  }
}

TEST_CASE("the ImageNet recipes hold the official numbers of DINO") {
  struct Want {
    const char* name;
    int64_t width, crops, epochs, batch;
    double peak_lr, min_lr, clip;
    bool norm_last_layer;
  };
  for (const Want& want : {Want{"small", 384, 8, 100, 512, 1e-3, 1e-6, 3, true},
                           Want{"base", 768, 8, 100, 512, 1e-3, 1e-6, 3, true},
                           Want{"small_released", 384, 10, 800, 1024, 2e-3, 1e-5, 0, false},
                           Want{"base_released", 768, 10, 400, 1024, 3e-3, 2e-6, 0.3, true}}) {
    INFO(want.name);
    const PretrainRun run =
        pretraining(recipe_folder() + "imagenet/dino_vit_" + want.name + ".yaml");
    const RunOptions& o = run.options;
    CHECK(o.model.embed_dim == want.width);
    CHECK(o.model.drop_path == 0.1);
    CHECK(peak_lr(o) == Approx(want.peak_lr));
    CHECK(o.schedule.min_lr == want.min_lr);
    CHECK(o.schedule.warmup_epochs == 10);
    CHECK(o.optimizer.weight_decay == 0.04);
    CHECK(o.optimizer.weight_decay_end == 0.4);
    CHECK(o.optimizer.clip_grad == want.clip);
    CHECK(o.optimizer.clip_mode == ClipMode::per_parameter);
    CHECK(o.train.epochs == want.epochs);
    CHECK(o.train.batch == want.batch);
    CHECK_THAT(run.resolved(),
               ContainsSubstring(fmt::format("local_crops: {}\n", want.crops)) ||
                   ContainsSubstring(fmt::format("local_crops: {} ", want.crops)));
    CHECK_THAT(run.resolved(),
               ContainsSubstring(fmt::format("norm_last_layer: {}", want.norm_last_layer)));
  }
}

TEST_CASE("the ImageNet recipes hold the official numbers of DeiT") {
  struct Want {
    const char* name;
    int64_t width, side, epochs, batch;
    double peak_lr, min_lr, weight_decay;
  };
  for (const Want& want : {Want{"tiny", 192, 224, 300, 1024, 1e-3, 1e-5, 0.05},
                           Want{"small", 384, 224, 300, 1024, 1e-3, 1e-5, 0.05},
                           Want{"base", 768, 224, 300, 1024, 1e-3, 1e-5, 0.05},
                           Want{"base", 768, 384, 30, 512, 5e-6, 5e-6, 1e-8}}) {
    for (const std::string kind : {"", "_distilled"}) {
      const std::string name = fmt::format("deit_{}{}_patch16_{}.yaml", want.name, kind, want.side);
      INFO(name);
      const FinetuneRun whole = finetuning(recipe_folder() + "imagenet/" + name);
      const RunOptions& o = whole.options;
      CHECK(o.model.embed_dim == want.width);
      CHECK(o.model.image_height() == want.side);
      CHECK(o.model.drop_path == 0.1);
      CHECK(o.model.pool == Pooling::cls);
      CHECK(o.model.pos_resize == ResizeConvention::mae);
      CHECK(o.model.dist_token == !kind.empty());
      CHECK(whole.distillation.kind ==
            (kind.empty() ? DistillationKind::none : DistillationKind::hard));
      CHECK(whole.distillation.alpha == 0.5);
      CHECK(peak_lr(o) == Approx(want.peak_lr));
      CHECK(o.schedule.kind == ScheduleKind::deit);
      CHECK(o.schedule.warmup_lr == 1e-6);
      CHECK(o.schedule.min_lr == want.min_lr);
      CHECK(o.optimizer.betas == std::vector<double>{0.9, 0.999});
      CHECK(o.optimizer.weight_decay == want.weight_decay);
      CHECK(o.optimizer.layer_decay == 1);
      CHECK(o.optimizer.clip_grad == 0);
      CHECK(o.train.epochs == want.epochs);
      CHECK(o.train.batch == want.batch);
      CHECK(o.train.ema_decay == 0.99996);
      CHECK(whole.finetune.repeated_augmentation == 3);
      CHECK(whole.finetune.init == FinetuneInit::timm);
      CHECK(whole.finetune.crop_pct(want.side) == 0.875);
    }
  }
}

TEST_CASE("the ImageNet recipes hold the official numbers of the tokenizers") {
  const PretrainRun vqkd = pretraining(recipe_folder() + "imagenet/tokenizer_vqkd_base.yaml");
  const RunOptions& o = vqkd.options;
  CHECK(o.model.embed_dim == 768);
  CHECK(o.model.depth == 12);
  CHECK(o.model.num_patches() == 196);
  CHECK(o.model.qkv_bias == QkvBias::qv);
  CHECK(peak_lr(o) == Approx(2e-4));
  CHECK(o.schedule.min_lr == 1e-5);
  CHECK(o.schedule.warmup_epochs == 10);
  CHECK(o.optimizer.betas == std::vector<double>{0.9, 0.99});
  CHECK(o.optimizer.weight_decay == 1e-4);
  CHECK(o.train.epochs == 100);
  CHECK(o.train.batch == 512);
  for (const char* line :
       {"codes: 8192", "dim: 32", "decay: 0.99", "kmeans: 10", "decoder_depth: 1"}) {
    CHECK_THAT(vqkd.resolved(), ContainsSubstring(line));
  }

  const PretrainRun dvae = pretraining(recipe_folder() + "imagenet/tokenizer_dvae.yaml");
  CHECK(dvae.options.model.num_patches() == 196);
  CHECK(dvae.options.model.image_height() == 112);
  CHECK(dvae.options.train.batch == 512);
  CHECK(dvae.options.train.ema_decay == 0.999);
  CHECK(dvae.options.optimizer.weight_decay == 1e-4);
  CHECK(peak_lr(dvae.options) == 1e-4);
  CHECK(dvae.options.schedule.min_lr == 1.25e-6);
  for (const char* line : {"vocabulary: 8192",
                           "temperature_end: 0.0625",
                           "kl_weight: 6.6",
                           "temperature_epochs: 60"}) {
    CHECK_THAT(dvae.resolved(), ContainsSubstring(line));
  }
}

TEST_CASE("the ImageNet recipes hold the official numbers of BEiT and BEiT v2") {
  struct Want {
    const char* name;
    int64_t width, epochs, cls_layers;
    double layer_scale, drop_path, second_beta, smallest_crop;
  };
  for (const Want& want : {Want{"beit_vit_base", 768, 800, 0, 0.1, 0.1, 0.999, 0.08},
                           Want{"beit_vit_large", 1024, 800, 0, 1e-5, 0.1, 0.999, 0.08},
                           Want{"beitv2_vit_base", 768, 300, 2, 0.1, 0, 0.98, 0.2}}) {
    INFO(want.name);
    const std::string path = recipe_folder() + "imagenet/" + want.name + ".yaml";
    const PretrainRun run = pretraining(path);
    const RunOptions& o = run.options;
    CHECK(o.model.embed_dim == want.width);
    CHECK(o.model.rel_pos_bias == RelPosBias::shared);
    CHECK(o.model.pos_embed == PosEmbed::none);
    CHECK(o.model.qkv_bias == QkvBias::qv);
    CHECK(o.model.layer_scale == want.layer_scale);
    CHECK(o.model.drop_path == want.drop_path);
    CHECK(peak_lr(o) == 1.5e-3);
    CHECK(o.optimizer.betas == std::vector<double>{0.9, want.second_beta});
    CHECK(o.optimizer.clip_grad == 3);
    CHECK(o.optimizer.clip_mode == ClipMode::global);
    CHECK(o.schedule.kind == ScheduleKind::table);
    CHECK(o.schedule.min_lr == 1e-5);
    CHECK(o.schedule.warmup_epochs == 10);
    CHECK(o.train.epochs == want.epochs);
    CHECK(o.train.batch == 2048);
    CHECK_THAT(run.resolved(), ContainsSubstring("masked_patches: 75"));
    const auto small = pretraining(
        path,
        {"beit.tokenizer=colors:64", "model.embed_dim=24", "model.num_heads=2", "model.depth=10"});
    const ViewSpec view = small.build()->views().front();
    CHECK(view.scale == std::vector<double>{want.smallest_crop, 1});
    CHECK(view.jitter == 1);
    CHECK(view.saturation == 0.4);
    CHECK(view.hue == 0);
  }
}

TEST_CASE("the ImageNet recipes hold the official numbers of SimMIM and iBOT") {
  const RunOptions simmim = pretraining(recipe_folder() + "imagenet/simmim_vit_base.yaml").options;
  CHECK(peak_lr(simmim) == Approx(4e-4));
  CHECK(simmim.optimizer.clip_grad == 5);
  const Schedule rate = lr_schedule(simmim);
  const auto at_epoch = [&](int64_t epoch) {
    return rate({.step = epoch, .total_steps = 800, .steps_per_epoch = 1, .epochs = 800});
  };
  CHECK(at_epoch(0) == Approx(5e-7 * 2048 / 512));
  CHECK(at_epoch(699) == Approx(4e-4));
  CHECK(at_epoch(700) == Approx(4e-5));

  const PretrainRun run = pretraining(recipe_folder() + "imagenet/ibot_vit_small.yaml");
  const RunOptions& ibot = run.options;
  CHECK(ibot.model.embed_dim == 384);
  CHECK(peak_lr(ibot) == Approx(2e-3));
  CHECK(ibot.train.epochs == 800);
  CHECK(ibot.train.batch == 1024);
  CHECK(ibot.optimizer.clip_mode == ClipMode::per_parameter);
  CHECK(ibot.schedule.min_lr == 1e-6);
  const auto views = run.build()->views();
  REQUIRE(views.size() == 3);
  CHECK(views[0].scale == std::vector<double>{0.25, 1});
  CHECK(views[2].count == 10);
  CHECK(views[2].width == 96);
  CHECK(views[2].scale == std::vector<double>{0.05, 0.25});
}

TEST_CASE("the CIFAR-10 recipe is the published one") {
  const PretrainRun run = pretraining(recipe_folder() + "cifar10/mae_vit_tiny.yaml");
  const RunOptions& o = run.options;
  CHECK(o.model.num_patches() == 256);
  CHECK(o.optimizer.decay_all);
  CHECK(o.train.precision == Precision::fp32);
  const Schedule rate = lr_schedule(o);
  const auto at_epoch = [&](int64_t epoch) {
    return rate({.step = 12 * epoch, .total_steps = 24000, .steps_per_epoch = 12, .epochs = 2000});
  };
  CHECK(at_epoch(0) == Approx(2.4e-3 / 200));
  CHECK(at_epoch(1000) == Approx(1.2e-3));
}
