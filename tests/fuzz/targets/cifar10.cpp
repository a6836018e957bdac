#include <filesystem>

#include "augment/open_dataset.h"
#include "fuzz/target.h"

namespace previt::fuzz {
namespace {

const bool added =
    add({.name = "cifar10",
         .seeds = [] { return std::vector{std::string(3 * 3073, '\3'), std::string(3073, '\7')}; },
         .parse =
             [](const std::string& bytes) {
               static const std::string folder = scratch() + "cifar10";
               std::filesystem::create_directories(folder);
               put(folder + "/test_batch.bin", bytes);
               put(folder + "/batches.meta.txt", bytes);
               const auto data = open_dataset(folder, Split::val);
               read_image(*data->reader(), data->size() - 1);
             },
         .inputs = 1000});

}  // namespace
}  // namespace previt::fuzz
