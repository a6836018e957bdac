#ifdef PREVIT_WITH_IMAGE_IO
#include <filesystem>

#include "augment/io/tensor_file.h"
#include "commands/embed.h"
#include "error.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/command.h"
#include "support/hdf5_texts.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

TEST_CASE("embed writes features with names, a plot and pictures of the patches") {
  const TempFolder temp;
  const std::string from = tiny_checkpoint(temp.path());
  const std::string h5 = temp.path() + "/f.h5", data = "synthetic:shapes,size=16,count=40,val=5";
  const auto embed = [&](const Words& more) {
    const Words words = {"--from", from, "--images", data, "--out", h5};
    return call(cli::embed_options(), cli::embed, words + more);
  };
  const std::string plot = temp.path() + "/plot.svg", pca = temp.path() + "/pca";
  REQUIRE(embed({"--features", "cls+mean", "--plot", plot, "--patch-pca", pca}) == 0);
  {
    const TensorFileReader file(h5);
    CHECK(file.read("features").sizes().vec() == std::vector<int64_t>{45, 48});
    CHECK(file.read("labels").size(0) == 45);
    CHECK(hdf5_texts(h5, "names").size() == 45);
    CHECK(hdf5_texts(h5, "class_names").size() == 10);
  }
  CHECK(read_whole_file(plot).find("star") != std::string::npos);
  CHECK(std::distance(fs::directory_iterator(pca), fs::directory_iterator()) == 46);
  REQUIRE(embed({"--split", "val", "--features", "patches"}) == 0);
  CHECK(TensorFileReader(h5).read("features").sizes().vec() == std::vector<int64_t>{5, 4, 24});
  const auto refuse = [&](const Words& more, const std::string& message) {
    CHECK_THROWS_MATCHES(embed(more), UsageError, Catch::Message(message));
  };
  refuse({"--plot", "plot.png"}, "--plot: plot.png must end in .svg");
  refuse({"--features", "patches", "--plot", "a.svg"},
         "--plot: needs one feature an image, not patches; see --patch-pca");
  refuse({"--split", "tests"}, "--split: tests is not one of train, val, all");
  refuse({"--features", "all"},
         "--features: all is not one of pooled, cls, mean, cls+mean, patches");
}
#endif
