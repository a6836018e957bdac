#include "augment/io/folder_content.h"
#include "augment/io/folder_data.h"
#include "augment/open_dataset.h"
#include "error.h"
#include "support/catch.h"
#include "support/folder_tree.h"

using namespace previt;
using test::FolderTree;
namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

Names names(const std::string& root, Split split = Split::all) {
  const auto dataset = open_dataset(root, split);
  Names all;
  for (int64_t i = 0; i < dataset->size(); ++i) all.push_back(dataset->name(i));
  return all;
}

}  // namespace

TEST_CASE("what archives and systems leave behind is no data, at any depth") {
  Names files = {"a/1.jpg", "b/2.jpg", "b/._2.jpg", "a/.DS_Store.jpg"};
  for (const char* junk : {"__MACOSX",
                           "__macosx",
                           "@eaDir",
                           ".ipynb_checkpoints",
                           "$RECYCLE.BIN",
                           "System Volume Information",
                           "lost+found",
                           "#recycle"}) {
    files.push_back(fmt::format("{}/a/1.jpg", junk));
    files.push_back(fmt::format("b/{}/1.jpg/x.jpg", junk));
  }
  const FolderTree tree(files);
  CHECK(names(tree.path()) == Names{"a/1.jpg", "b/2.jpg"});
  CHECK(open_dataset(tree.path())->class_names() == Names{"a", "b"});
}

TEST_CASE("pictures that PreViT made are no data, and what lies beside them is") {
  const FolderTree tree({"a/1.jpg",
                         "b/2.jpg",
                         "runs/mae/metrics.jsonl",
                         "runs/mae/recipe.yaml",
                         "runs/mae/previews/epoch_0001.0_x.png",
                         "runs/mae/mine.png",
                         "maps/attention.h5",
                         "maps/contact_sheet.png",
                         "maps/overlays/000000_a_1_mean.png",
                         "maps/masks/000000_a_1_head0.png",
                         "freed/contact_sheet.png",  // its attention.h5 took too much room
                         "freed/overlays/000000_a_1_mean.png",
                         "freed/masks/000000_a_1_head0.png",
                         "colours/000000_a_1.png",
                         "colours/000001_b_2.png",
                         "colours/contact_sheet.png"});
  const auto data = read_folder_data(tree.path(), Split::train, "");
  CHECK(names(tree.path()) == Names{"a/1.jpg", "b/2.jpg", "runs/mae/mine.png"});
  CHECK(data.lines ==
        Names{tree.path() + ": what PreViT made is no data and left out: colours, freed, "
                            "maps, runs/mae"});
  CHECK(data.warnings.empty());
}

TEST_CASE("a run folder that only its lock is in yet is no class without images") {
  const FolderTree tree({"a/1.jpg", "b/2.jpg", "runs/mae/.lock"});
  CHECK(read_folder_data(tree.path(), Split::train, "").warnings.empty());
  const FolderTree mine({"a/1.jpg", "b/2.jpg", "b/.lock", "b/.c/3.jpg"});
  CHECK(names(mine.path()) == Names{"a/1.jpg", "b/2.jpg"});
  CHECK(read_folder_data(mine.path(), Split::train, "").lines.empty());
}

TEST_CASE("a folder that is only called like PreViT's own is data") {
  const Names files = {"checkpoints/1.png",
                       "colours/000000_a.png",
                       "colours/000002_b.png",
                       "colours/contact_sheet.png",
                       "frames/000000_a.png",
                       "masks/1.png",
                       "overlays/1.png",
                       "previews/1.png",
                       "run/metrics.jsonl",
                       "run/previews/1.png",
                       "sheet/contact_sheet.png"};
  CHECK(names(FolderTree(files).path()).size() == files.size() - 1);
}

TEST_CASE("empty class folders are named, and are no classes") {
  const FolderTree tree(
      {"train/a/1.jpg", "train/b/1.jpg", "train/later/x.txt", "val/a/1.jpg", "val/b/1.jpg"});
  const auto data = read_folder_data(tree.path(), Split::train, "");
  CHECK(data.classes == Names{"a", "b"});
  CHECK(data.warnings ==
        Names{tree.path() + "/train: no images in later; a class without any can't be learned and "
                            "isn't counted"});
  CHECK(read_folder_data(tree.path(), Split::val, "").warnings.empty());
}

TEST_CASE("links that repeat a folder are named") {
  const FolderTree tree({"a/1.jpg", "b/2.jpg"}, {{"a/up", ".."}, {"b/top", "../.."}, {"c", "b"}});
  CHECK(names(tree.path()) == Names{"a/1.jpg", "b/2.jpg"});
  CHECK(read_folder_data(tree.path(), Split::train, "").lines ==
        Names{tree.path() + ": every folder counts once; links to one that is listed already, or "
                            "holds it: a/up, b/top, c"});
}

TEST_CASE("images that are the same file are told") {
  const FolderTree tree({"a/1.jpg", "a/2.jpg", "b/3.jpg"}, {{"b/1.jpg", "../a/1.jpg"}});
  std::filesystem::create_hard_link(tree.path() + "/a/2.jpg", tree.path() + "/a/4.jpg");
  CHECK(read_folder_data(tree.path(), Split::train, "").warnings ==
        std::vector<std::string>{
            tree.path() +
            ": 2 of 5 images are files that count already, under another name (links)"});
}

TEST_CASE("training and validation that share files are told") {
  const auto warnings = [](const FolderTree& tree) {
    return read_folder_data(tree.path(), Split::val, "").warnings;
  };
  const Names files = {"train/a/1.jpg", "train/a/2.jpg", "train/b/3.jpg", "val/b/4.jpg"};
  SECTION("a folder that links into the other") {
    const FolderTree tree(files, {{"val/a", "../train/a"}});
    CHECK(warnings(tree) == Names{tree.path() + ": 2 of the 3 validation images are files of the "
                                                "training split too"});
    CHECK(names(tree.path(), Split::val).size() == 3);
    CHECK(names(tree.path(), Split::all).size() == 4);  // each once
  }
  SECTION("single files") {
    const FolderTree tree(files, {{"val/a/2.jpg", "../../train/a/2.jpg"}});
    fs::create_hard_link(tree.path() + "/train/b/3.jpg", tree.path() + "/val/b/3.jpg");
    CHECK(warnings(tree) == Names{tree.path() + ": 2 of the 3 validation images are files of the "
                                                "training split too"});
  }
  SECTION("no word where they don't") { CHECK(warnings(FolderTree(files)).empty()); }
}
