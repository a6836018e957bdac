#ifdef PREVIT_WITH_IMAGE_IO
#include <filesystem>

#include "cli/frames.h"
#include "error.h"
#include "support/catch.h"
#include "support/photograph.h"
#include "support/temp_folder.h"

using namespace previt;
using namespace previt::test;
namespace fs = std::filesystem;

namespace {

int value_of(const std::optional<Image>& mask) { return mask ? mask->pixels.front() : -1; }

}  // namespace

TEST_CASE("an image is read by its path, whatever it is called and lies beside") {
  const TempFolder temp;
  const std::string picture = encode_png(torch::zeros({8, 8, 3}, torch::kUInt8));
  fs::create_directories(temp.path() + "/train/a");
  write_whole_file(temp.path() + "/train/a/1.png", picture);
  for (const char* name : {"query.png", "scan.jfif", "scan.jpe", "none", "other.dat"}) {
    const std::string path = fmt::format("{}/{}", temp.path(), name);
    write_whole_file(path, picture);
    const auto images = cli::open_pictures(path, Split::all);
    REQUIRE(images->size() == 1);
    CHECK(images->name(0) == name);
    CHECK(read_image(*images->reader(), 0).height == 8);
  }
  write_whole_file(temp.path() + "/text.jpg", "no image");
  CHECK_THROWS_WITH(cli::open_pictures(temp.path() + "/text.jpg", Split::all)->reader()->open(0),
                    "not a JPEG, PNG, WebP, BMP or TIFF picture");
}

TEST_CASE("a picture's name is one that a file can have") {
  CHECK(cli::picture_name(12, "train/dog/a b.jpg") == "000012_train_dog_a_b");
  const std::string name = cli::picture_name(0, std::string(240, 'x') + "/end.jpg");
  CHECK(name.size() < 200);
  CHECK(name.ends_with("xx_end"));
}

TEST_CASE("a mask is cut as its image is") {
  const TempFolder temp;
  write_photograph(temp.path(), "a");
  const auto images = cli::open_pictures(temp.path() + "/images", Split::all);
  cli::FrameReader reader(images, 40, 8);
  const at::Tensor picture = reader.read(0);
  CHECK(picture.sizes().vec() == std::vector<int64_t>{3, 40, 56});  // 60 wide, cut to patches
  CHECK(reader.size(0) == ImageSize{40, 56});
  const auto mask = cli::MaskFolder(temp.path() + "/masks").read("elsewhere/a.jpg");
  REQUIRE(mask.has_value());
  const at::Tensor object = reader.mask_of(*mask);
  CHECK(object.sizes().vec() == std::vector<int64_t>{40, 56});
  CHECK(object.sum().item<int64_t>() == 16 * 24);
  const at::Tensor bright = picture.mean(0) > 0.6;
  CHECK((bright == object).to(torch::kFloat).mean().item<double>() > 0.95);
}

TEST_CASE("a mask is the one of the same path, else the only one of the same name") {
  const TempFolder temp;
  const std::string folder = temp.path() + "/masks/";
  write_mask(folder + "bear/00000.png", 4, 4, 10);
  write_mask(folder + "bear/00001.png", 4, 4, 11);
  write_mask(folder + "dog/00000.png", 4, 4, 20);
  const cli::MaskFolder masks(folder);
  CHECK(value_of(masks.read("bear/00000.jpg")) == 10);
  CHECK(value_of(masks.read("dog/00000.jpg")) == 20);
  CHECK(value_of(masks.read("clip/00001.jpg")) == 11);
  CHECK_FALSE(masks.has("clip/00002.jpg"));
  CHECK_THROWS_MATCHES(masks.has("cat/00000.jpg"),
                       UsageError,
                       Catch::Message(folder + ": bear/00000.png and dog/00000.png may both be the "
                                               "mask of cat/00000.jpg; lay masks out in folders as "
                                               "the images"));
}
#endif
