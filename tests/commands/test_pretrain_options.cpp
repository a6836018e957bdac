#include <c10/core/Device.h>

#include "cli/device.h"
#include "commands/pretrain.h"
#include "error.h"
#include "support/catch.h"
#include "support/pretrain_command.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("the command lines of pretrain and train_tokenizer are frozen") {
  const auto names = [](cli::Product product) {
    Words all;
    const auto options = cli::pretrain_options(product);
    for (const auto& option : options.options()) all.push_back(option->long_name());
    return all;
  };
  CHECK(names(cli::Product::backbone) == Words{"recipe",
                                               "list-recipes",
                                               "data",
                                               "from",
                                               "weights",
                                               "allow",
                                               "freeze-blocks",
                                               "freeze-epochs",
                                               "objective",
                                               "out",
                                               "set",
                                               "device",
                                               "time-budget",
                                               "resume",
                                               "print-recipe",
                                               "nproc"});
  CHECK(names(cli::Product::tokenizer) == Words{"recipe",
                                                "list-recipes",
                                                "data",
                                                "from",
                                                "weights",
                                                "allow",
                                                "freeze-blocks",
                                                "freeze-epochs",
                                                "out",
                                                "set",
                                                "device",
                                                "time-budget",
                                                "resume",
                                                "print-recipe",
                                                "nproc"});
  CHECK_THROWS_AS(parse(cli::pretrain_options(cli::Product::tokenizer), {"--data", kScenes}),
                  cli::po::required_option);
}

TEST_CASE("a command is written as one would type it again") {
  const char* words[] = {"pretrain", "--data", "my photos", "--set", "a.b=it's"};
  CHECK(cli::command_line(5, const_cast<char**>(words)) ==
        R"(pretrain --data 'my photos' --set 'a.b=it'\''s')");
}

TEST_CASE("what a recipe asks wrongly is told by the key's place, before anything is opened") {
  const auto refuse = [](const std::string& change, const std::string& message) {
    INFO(change);
    const auto args = parse(cli::pretrain_options(), kTinyMae + Words{"--set", change});
    CHECK_THROWS_MATCHES(cli::read_pretrain_run(args).build(),
                         UsageError,
                         Catch::Message("--set " + change + ": " + message));
  };
  const std::string bounds = " is not the lowest and the highest, like [0.5, 1]";
  refuse("augment.scale=[0.5]", "augment.scale: [0.5]" + bounds);
  refuse("augment.scale=[0.5, 0.4]", "augment.scale: [0.5, 0.4]" + bounds);
  refuse("augment.ratio=[]", "augment.ratio: []" + bounds);
  refuse("augment.blur_sigma=[1, 2, 3]", "augment.blur_sigma: [1, 2, 3]" + bounds);
  refuse("augment.rand_augment=rand-m9-mstd",
         "augment.rand_augment: rand-m9-mstd: mstd needs a number");
  refuse("normalize.mean=[0.5]", "normalize.mean: 3 numbers are needed, not 1");
  refuse("normalize.std=[1, 1, 1, 1]", "normalize.std: 3 numbers are needed, not 4");
  refuse("model.in_channels=4",
         "model.in_channels: 4: images are read as RGB (3) or made grey (1), not with other "
         "channels");
  refuse("optimizer.betas=[0.9]", "optimizer.betas: 2 numbers are needed, not 1");
  refuse("model.image_size=[18]", "model.image_size: 18 is not a multiple of patch_size 4");
  refuse("mae.mask_ratio=0.99", "mae.mask_ratio: 0.99 of 16 patches leaves none visible");
  refuse("mae.decoder.embed_dim=25", "mae.decoder.embed_dim: 25 is not a multiple of num_heads 2");
  refuse("augment.height=99",
         "augment.height, augment.width: 99 x 16 is not model.image_size 16 x 16");
}

TEST_CASE("devices are named or refused") {
  CHECK(cli::choose_device("cpu") == at::Device(at::kCPU));
  CHECK_THROWS_AS(cli::choose_device("gpu"), UsageError);
  CHECK_THROWS_AS(cli::choose_device("cuda:x"), UsageError);
  CHECK_THROWS_WITH(cli::choose_device("cuda:99"), ContainsSubstring("cuda:99 is not there"));
}

TEST_CASE("what auto takes is said wherever there is a GPU") {
  CHECK(cli::why_automatic({}) == "");
  CHECK(cli::why_automatic({.built_for_it = true}) == "");
  CHECK_THAT(cli::why_automatic({.devices = 2, .built_for_it = true, .driver = true}),
             ContainsSubstring("device: cuda:0, the first of 2"));
  CHECK_THAT(cli::why_automatic({.built_for_it = true, .driver = true}),
             ContainsSubstring("device: cpu, as LibTorch sees no GPU though a driver"));
  CHECK_THAT(cli::why_automatic({.driver = true}),
             ContainsSubstring("device: cpu, as this LibTorch has no CUDA"));
}
