#include <torch/types.h>

#include <filesystem>

#include "error.h"
#include "files.h"
#include "models/weights/pth.h"
#include "models/weights/weight_format.h"
#include "models/weights/write_pth.h"
#include "models/weights/zip.h"
#include "support/catch.h"
#include "support/same_tensors.h"
#include "support/temp_folder.h"

namespace previt {
namespace {

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

NamedTensors dict_in(const PthFile& file, const std::string& key) {
  const PickleValue* dict = file.root->find(key);
  return dict == nullptr ? NamedTensors() : tensors_in(*dict);
}

}  // namespace

TEST_CASE("every type, shape and view of torch.save is written as it was read") {
  const TempFolder temp;
  const std::string path = temp.path() + "/written.pth";
  for (const auto& [name, key] : std::map<std::string, std::string>{{"pth_types_a", "state_dict"},
                                                                    {"pth_legacy_a", "model"}}) {
    INFO(name);
    const NamedTensors tensors = dict_in(read_pth(kFixtures + name + ".pth"), key);
    REQUIRE(tensors.size() > 10);
    write_pth(path, {{key, tensors}});
    check_same_tensors(dict_in(read_pth(path), key), tensors);
  }
}

TEST_CASE("arguments are written as plain data, and a bare state_dict without them") {
  const TempFolder temp;
  const std::string path = temp.path() + "/written.pth";
  const nlohmann::json args = {{"arch", "vit"},
                               {"none", nullptr},
                               {"large", 1099511627781},
                               {"negative", -7},
                               {"real", 0.1},
                               {"flag", false},
                               {"list", {1, "x", 2.5, {1, 2}}},
                               {"inner", {{"empty", nlohmann::json::array()}}}};
  const NamedTensors tensors = {{"a", torch::ones({2, 3})}};
  write_pth(path, {{"model", tensors}, {"other", {}}}, args);
  const PthFile file = read_pth(path);
  CHECK(pickle_to_json(*file.root->find("args")) == args);
  REQUIRE(file.root->find("other") != nullptr);
  CHECK(file.root->find("other")->is(PickleValue::Kind::dict));
  write_pth(path, {{"", tensors}}, args);
  const PthFile bare = read_pth(path);
  check_same_tensors(tensors_in(*bare.root), tensors);
  CHECK(bare.root->find("args") == nullptr);
}

TEST_CASE("data are aligned, and a part of a large tensor is written alone") {
  const TempFolder temp;
  const std::string path = temp.path() + "/written.pth";
  const at::Tensor large = torch::arange(1'000'000);
  write_pth(path, {{"model", {{"part", large.slice(0, 5, 8)}, {"whole", torch::ones({3})}}}});
  CHECK(std::filesystem::file_size(path) < 10'000);
  CHECK(torch::equal(dict_in(read_pth(path), "model").at("part"), large.slice(0, 5, 8)));
  const MappedFile file(path);
  int data = 0;
  for (const auto& [name, entry] : read_zip_directory(file.data(), file.size(), path)) {
    if (name.find("/data/") == std::string::npos) continue;
    CHECK(entry.offset % 64 == 0);
    ++data;
  }
  CHECK(data == 2);
}

TEST_CASE("a full disk is an error led by the file") {
  CHECK_THROWS_WITH(write_pth("/dev/full", {{"model", {{"a", torch::ones({100'000})}}}}),
                    "/dev/full: No space left on device");
}

// All that the authors' files hold of networks and losses; their optimizers are left out.
TEST_CASE("an official file is written with all of its networks as it was read") {
  struct File {
    std::string name, format;
    int64_t heads;
    std::vector<std::string> keys;
  };
  const TempFolder temp;
  const std::string path = temp.path() + "/written.pth";
  for (const File& item :
       std::vector<File>{{"mae_checkpoint_a", "mae", 3, {"model"}},
                         {"mae_pretrain_encoder_a", "deit", 3, {"model"}},
                         {"deit_distilled_checkpoint_a", "deit", 2, {"model"}},
                         {"dino_checkpoint_a", "dino", 3, {"teacher", "student", "dino_loss"}}}) {
    INFO(item.name);
    const std::string source = kFixtures + item.name + ".pth";
    LoadedModel model = load_model(source, nullptr, {.whole = true});
    model.options.num_heads = item.heads;
    const WeightFormat& format = official_format(model);
    CHECK(format.name() == item.format);
    const ForeignModel files = format.write(model);
    auto dicts = files.others;
    dicts[files.key] = files.state_dict();
    CHECK(dicts.size() == item.keys.size());
    write_pth(path, dicts, files.config);
    const PthFile before = read_pth(source), after = read_pth(path);
    for (const std::string& key : item.keys) {
      INFO(key);
      check_same_tensors(dict_in(after, key), dict_in(before, key));
    }
    const LoadedModel back = load_model(path, nullptr, {.whole = true});
    check_same_tensors(back.weights, model.weights);
    check_same_tensors(back.extra, model.extra);
    check_same_tensors(back.others, model.others);
    CHECK(back.options.num_heads == item.heads);
  }
}

TEST_CASE("a moving average beside DeiT's weights is written too") {
  const TempFolder temp;
  const std::string path = temp.path() + "/two.pth", out = temp.path() + "/written.pth";
  const NamedTensors weights =
      dict_in(read_pth(kFixtures + "deit_distilled_checkpoint_a.pth"), "model");
  NamedTensors average;
  for (const auto& [name, tensor] : weights) average[name] = tensor + 1;
  write_pth(path, {{"model", weights}, {"model_ema", average}});
  LoadedModel model = load_model(path, nullptr, {.whole = true});
  model.options.num_heads = 2;
  const ForeignModel files = official_format(model).write(model);
  check_same_tensors(files.state_dict(), weights);
  REQUIRE(files.others.contains("model_ema"));
  check_same_tensors(files.others.at("model_ema"), average);
}

}  // namespace previt
