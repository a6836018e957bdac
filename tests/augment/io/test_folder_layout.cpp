#include "augment/io/folder_data.h"
#include "augment/io/folder_layout.h"
#include "augment/io/split_name.h"
#include "augment/open_dataset.h"
#include "error.h"
#include "support/catch.h"
#include "support/folder_tree.h"

using namespace previt;
using test::FolderTree;

namespace {

using Names = std::vector<std::string>;
using Kind = SplitName::Kind;

// A folder of class folders a and b with an image each, as "train/", "val/" or whatever.
Names classes_in(const Names& folders) {
  Names files;
  for (const auto& folder : folders) {
    files.push_back(folder + "/a/1.jpg");
    files.push_back(folder + "/b/2.jpg");
  }
  return files;
}

void check_divided(const FolderTree& tree, const std::string& train, const std::string& val) {
  const FolderLayout layout = find_layout(tree.path());
  CHECK(layout.train == train);
  CHECK(layout.val == val);
  const auto data = read_folder_data(tree.path(), Split::all, "");
  CHECK(data.classes == Names{"a", "b"});
  CHECK(data.lines[0].find(train + "/ is the training split; " + val +
                           "/ is the validation split") != std::string::npos);
}

}  // namespace

TEST_CASE("names of splits are known however people write them") {
  for (const char* name : {"train",
                           "Train",
                           "TRAINING",
                           "training_set",
                           "TrainImages",
                           "train2017",
                           "trainset",
                           "images-train",
                           "Training Data",
                           "train_part1"}) {
    INFO(name);
    CHECK(split_name(name).kind == Kind::train);
  }
  for (const char* name : {"val",
                           "Valid",
                           "validation",
                           "dev",
                           "eval_set",
                           "Test",
                           "testing",
                           "test_set",
                           "valset",
                           "TestData",
                           "val2017",
                           "Evaluation"}) {
    INFO(name);
    CHECK(split_name(name).kind == Kind::val);
  }
  for (const char* name : {"terrain",
                           "contest",
                           "invalid",
                           "trainers",
                           "bullet_train",
                           "cats",
                           "device",
                           "1",
                           "",
                           "value",
                           "train_test"}) {
    INFO(name);
    CHECK(split_name(name).kind == Kind::none);
  }
}

TEST_CASE("a divided folder is known by its names, validation before test") {
  check_divided(FolderTree(classes_in({"train", "valid", "test"})), "train", "valid");
  check_divided(FolderTree(classes_in({"train", "valid"})), "train", "valid");
  check_divided(FolderTree(classes_in({"Train", "Test"})), "Train", "Test");
  check_divided(FolderTree(classes_in({"training_set", "test_set"})), "training_set", "test_set");
  check_divided(FolderTree(classes_in({"TRAIN", "dev", "Testing"})), "TRAIN", "dev");
  check_divided(FolderTree(classes_in({"train", "train_extra", "val", "Val"})), "train", "val");
}

TEST_CASE("what stands beside the splits is named") {
  const FolderTree tree(classes_in({"train", "valid", "test", "more"}));
  tree.add({"query.jpg"});
  CHECK(read_folder_data(tree.path(), Split::train, "").lines ==
        Names{tree.path() +
              ": train/ is the training split; valid/ is the validation split; not used: more/, "
              "test/, 1 image files beside them"});
}

TEST_CASE("a class may be called like a split") {
  for (const char* name : {"training", "Train", "valid", "dev"}) {
    const FolderTree tree({"running/1.jpg", std::string(name) + "/2.jpg", "swimming/3.jpg"});
    CHECK(read_folder_data(tree.path(), Split::train, "").classes.size() == 3);
  }
  const FolderTree beside({"Train/a/1.jpg", "Train/b/1.jpg", "masks/1.png"});
  CHECK(find_layout(beside.path()).train == "Train");
}

TEST_CASE("folders that look like splits are never classes") {
  const FolderTree tree({"cats_train/1.jpg", "cats_test/1.jpg"});
  CHECK_THROWS_WITH(open_dataset(tree.path()),
                    tree.path() +
                        ": cats_test/, cats_train/ look like splits, not classes; name them "
                        "train/ and val/");
  const FolderTree tie(classes_in({"train_1", "train_2", "val"}));
  CHECK_THROWS_WITH(open_dataset(tie.path()),
                    tie.path() +
                        ": train_1/ and train_2/ could be the same split; rename one of "
                        "them, or move it away");
  const FolderTree vals(classes_in({"train", "val_1", "val_2", "test"}));
  CHECK_THROWS_WITH(open_dataset(vals.path()), ContainsSubstring("val_1/ and val_2/ could be"));
  const FolderTree parts({"train_1/1.jpg", "train_2/1.jpg"});
  const auto data = read_folder_data(parts.path(), Split::train, "");
  CHECK(data.classes.empty());
  CHECK(data.parts[0].listing.size() == 2);
  CHECK(data.warnings == Names{parts.path() + ": train_1, train_2 look like splits, not classes; "
                                              "their images have no labels"});
}

TEST_CASE("two or three folders of the same folders are splits, whatever they are called") {
  for (const char* name : {"Validierung", "prueba"}) {
    const FolderTree tree(classes_in({"Training", name}));
    const auto data = read_folder_data(tree.path(), Split::train, "");
    CHECK(data.classes.empty());
    CHECK(data.warnings == Names{tree.path() + ": Training, " + name +
                                 " look like splits, not classes; their images have no labels"});
  }
  CHECK(find_layout(FolderTree(classes_in({"seen", "unseen"})).path()).unclear);
  const FolderTree domains(classes_in({"art", "clipart", "photo", "sketch"}));
  CHECK(read_folder_data(domains.path(), Split::train, "").classes.size() == 4);
  CHECK(read_folder_data(domains.path(), Split::train, "").lines[0].find("hold the same folders") !=
        std::string::npos);
  const FolderTree inside({"cat/train/1.jpg", "cat/val/2.jpg", "dog/train/1.jpg", "dog/val/2.jpg"});
  CHECK(read_folder_data(inside.path(), Split::train, "").classes == Names{"cat", "dog"});
  const FolderTree one({"cat/images/1.jpg", "dog/images/1.jpg"});
  CHECK_FALSE(find_layout(one.path()).unclear);
  CHECK(find_layout(one.path()).alike.empty());
}

TEST_CASE("images below a single folder of folders have its folders as classes") {
  const FolderTree tree({"__MACOSX/x/1.jpg", "animals/a/1.jpg", "animals/b/2.jpg", "read me.txt"});
  const auto data = read_folder_data(tree.path(), Split::train, "");
  CHECK(data.classes == Names{"a", "b"});
  CHECK(data.lines ==
        Names{tree.path() + ": all images lie below animals/, whose folders are the classes"});
  const auto dataset = open_dataset(tree.path());
  CHECK(dataset->name(0) == "animals/a/1.jpg");
  CHECK(dataset->label(1) == 1);

  const FolderTree deep(classes_in({"x/y/z"}));
  CHECK(open_dataset(deep.path())->class_names() == Names{"a", "b"});
  const FolderTree one({"only/1.jpg", "only/2.jpg"});
  CHECK(open_dataset(one.path())->class_names() == Names{"only"});
}

TEST_CASE("splits are found below single folders, and class folders below them in splits") {
  check_divided(
      FolderTree(classes_in({"dataset/train", "dataset/val"})), "dataset/train", "dataset/val");
  check_divided(FolderTree(classes_in({"train/images", "val"})), "train", "val");
  FolderTree links(classes_in({"x/train", "x/val"}), {{"self", "."}, {"x/back", ".."}});
  check_divided(links, "x/train", "x/val");
}

TEST_CASE("a class that alone validates is no wrapper") {
  const FolderTree tree(
      {"train/cat/1.jpg", "train/dog/1.jpg", "val/dog/s1/1.jpg", "val/dog/s2/1.jpg"});
  CHECK(read_folder_data(tree.path(), Split::all, "").classes == Names{"cat", "dog"});
}
