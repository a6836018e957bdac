#include "augment/io/folder_listing.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include "fuzz/target.h"

namespace previt::fuzz {
namespace {

namespace fs = std::filesystem;

/// A folder of images with the listing that was kept of it.
struct Listed {
  Listed() {
    fs::create_directories(root + "/b");
    for (const char* name : {"/1.png", "/2.jpg", "/b/3.jpg"}) put(root + name, "");
    std::this_thread::sleep_for(
        std::chrono::milliseconds(150));  // none is kept of what just changed
    list_images(root, cache);
    file = fs::directory_iterator(cache)->path();
    valid = read_whole_file(file);
  }
  std::string root = scratch() + "listed", cache = scratch() + "listings", file, valid;
};

const Listed& listed() {
  static const Listed one;
  return one;
}

const bool added = add({.name = "folder_listing",
                        .seeds = [] { return std::vector{listed().valid}; },
                        .parse =
                            [](const std::string& bytes) {
                              put(listed().file, bytes);
                              const FolderListing listing =
                                  list_images(listed().root, listed().cache);
                              for (int64_t i = 0; i < listing.size(); ++i) listing.path(i);
                            },
                        .inputs = 1000,
                        .refused = 0});

}  // namespace
}  // namespace previt::fuzz
