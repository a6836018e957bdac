#include <filesystem>
#include <fstream>

#include "augment/encode_png.h"
#include "cli/labelled_data.h"
#include "error.h"
#include "support/catch.h"
#include "support/folder_tree.h"
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

TEST_CASE("listed images are taken instead of drawn ones") {
  const std::string data = "synthetic:shapes,size=16,count=40,val=0";
  using Names = std::set<std::string>;
  const auto names = [](const Dataset& images) {
    Names all;
    for (int64_t i = 0; i < images.size(); ++i) all.insert(images.name(i));
    return all;
  };
  const auto drawn = cli::open_labelled(data, {}, ""),
             older = cli::open_labelled(data, {.older = true}, "");
  CHECK(names(*older.val) != names(*drawn.val));

  cli::SplitOptions lists{
      .per_class = 1, .held_out = Names{"3", "21"}, .few_shot = Names{"4", "30"}};
  const auto listed = cli::open_labelled(data, lists, "");
  CHECK(names(*listed.val) == Names{"3", "21"});
  CHECK(names(*listed.train) == Names{"4", "30"});

  lists.held_out = Names{"gone"};
  lists.few_shot.reset();
  CHECK(names(*cli::open_labelled(data, lists, "").val) == names(*drawn.val));
  lists.few_shot = Names{"gone"};
  CHECK_THROWS_WITH(cli::open_labelled(data, lists, ""),
                    data + ": none of the 1 images is there that the run trained on");
}

TEST_CASE("nothing is held out where nothing trains") {
  CHECK(cli::open_evaluated("synthetic:shapes,size=16,count=40,val=20", "")->size() == 20);
  CHECK(cli::open_evaluated("synthetic:shapes,size=16,count=40,val=0", "")->size() == 40);
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("all images of class folders are evaluated") {
  const test::FolderTree tree({"a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.jpg"});
  CHECK(cli::open_evaluated(tree.path(), "")->size() == 4);
  const test::FolderTree divided({"Train/a/1.jpg", "Train/b/1.jpg", "Test/a/1.jpg"});
  CHECK(cli::open_evaluated(divided.path(), "")->size() == 1);
  const test::FolderTree alone({"train/a/1.jpg", "train/b/1.jpg"});
  CHECK(cli::open_evaluated(alone.path(), "")->size() == 2);
}

TEST_CASE("one class can't be learned") {
  const auto error = [](const std::vector<std::string>& files, const std::string& name) {
    const test::FolderTree tree(files);
    CHECK_THROWS_WITH(cli::open_labelled(tree.path(), {}, ""),
                      tree.path() + ": all images are of one class (" + name +
                          "), from which nothing can be learned; each class is a folder");
  };
  error({"only/1.jpg", "only/2.jpg", "only/3.jpg"}, "only");
  error({"train/a/1.jpg", "train/a/2.jpg", "val/a/3.jpg"}, "a");
}

TEST_CASE("validation classes that training lacks are an error that names both sides") {
  const auto error = [](const std::vector<std::string>& files) -> std::string {
    const test::FolderTree tree(files);
    try {
      cli::open_labelled(tree.path(), {}, "");
    } catch (const Error& e) {
      return std::string(e.what()).substr(tree.path().size());
    }
    return "";
  };
  CHECK(error({"train/church/1.jpg", "train/golf/1.jpg", "val/churchs/1.jpg", "val/golf/1.jpg"}) ==
        ": no training images of these validation classes: churchs (church?); training has church, "
        "golf");
  CHECK(error({"train/a/1.jpg", "train/b/1.jpg", "train/later/x.txt", "val/later/1.jpg"}) ==
        ": no training images of these validation classes: later; training has a, b");
  CHECK(error({"train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg"}).empty());
}

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
  CHECK_THROWS_WITH(open(), temp.path() + "/val: holds no images (JPEG, PNG, WebP, BMP, TIFF)");
  std::ofstream(temp.path() + "/val/cat/1.png", std::ios::binary) << picture;
  CHECK_FALSE(open().held_out);
}
#endif
