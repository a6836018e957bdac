#include "cli/labelled_data.h"

#include <filesystem>
#include <fstream>

#include "augment/encode_png.h"
#include "support/catch.h"
#include "support/temp_folder.h"

using namespace previt;

TEST_CASE("data without a validation split has some held out") {
  const auto divided = cli::open_labelled("synthetic:shapes,size=16,count=40,val=20", {}, "");
  CHECK_FALSE(divided.held_out);
  CHECK(divided.val->size() == 20);
  const auto whole = cli::open_labelled("synthetic:shapes,size=16,count=40,val=0", {}, "");
  CHECK(whole.held_out);
  CHECK(whole.train->size() + whole.val->size() == 40);
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("a validation split that can't be read is an error, not held-out images") {
  const TempFolder temp;
  const auto open = [&] { return cli::open_labelled(temp.path(), {.holdout = 0.5}, ""); };
  const std::string picture = encode_png(torch::zeros({8, 8, 3}, torch::kUInt8));
  for (const char* place : {"cat", "dog"}) {
    std::filesystem::create_directories(temp.path() + "/train/" + place);
    for (const char* name : {"/1.png", "/2.png"}) {
      std::ofstream(temp.path() + "/train/" + place + name, std::ios::binary) << picture;
    }
  }
  CHECK(open().held_out);
  std::filesystem::create_directories(temp.path() + "/val/cat");
  CHECK_THROWS_WITH(open(),
                    temp.path() + "/val: holds no images (JPEG, PNG, WebP, BMP, TIFF)");
  std::ofstream(temp.path() + "/val/cat/1.png", std::ios::binary) << picture;
  CHECK_FALSE(open().held_out);
}
#endif
