#include <torch/types.h>

#include "files.h"
#include "models/weights/pth.h"
#include "models/weights/weight_format.h"
#include "support/catch.h"
#include "support/same_tensors.h"
#include "support/temp_folder.h"

namespace previt {
namespace {

const std::string kFixtures = PREVIT_SOURCE_DIR "/tests/fixtures/";

// Of a width that doesn't tell them.
LoadedModel with_heads(const std::string& path, int64_t heads) {
  LoadedModel model = load_model(path);
  model.options.num_heads = heads;
  return model;
}

}  // namespace

TEST_CASE("a folder of files is written as it was read") {
  const auto [name, format] = GENERATE(table<std::string, std::string>({
      {"hf_vit_a", "hugging_face"},
      {"hf_beit_a", "hugging_face"},
      {"hf_dinov2_a", "hugging_face"},
      {"hf_vitmae_a", "hugging_face"},
      {"timm_hub_a", "timm"},
  }));
  INFO(name);
  const std::string folder = kFixtures + name;
  const ForeignModel files = format_named(format).write(load_model(folder));
  check_same_tensors(files.state_dict(), read_safetensors(folder + "/model.safetensors").tensors);
  const auto config = nlohmann::json::parse(read_whole_file(folder + "/config.json"));
  for (const char* key : {"architectures", "model_type", "num_attention_heads", "num_classes"}) {
    CHECK(files.config.value(key, nlohmann::json()) == config.value(key, nlohmann::json()));
  }
}

// What the reader leaves out by design is not there to be written: of dino_checkpoint_a the
// student, the optimizer and the center of the loss, which are no part of the teacher's state_dict.
TEST_CASE("a state_dict of torch.save is written as it was read") {
  struct File {
    std::string name, format, key;
    int64_t heads;
  };
  for (const File& item : std::vector<File>{{"mae_checkpoint_a", "mae", "model", 3},
                                            {"mae_pretrain_encoder_a", "deit", "model", 3},
                                            {"dino_checkpoint_a", "dino", "teacher", 3},
                                            {"deit_distilled_checkpoint_a", "deit", "model", 2}}) {
    INFO(item.name);
    const std::string path = kFixtures + item.name + ".pth";
    const ForeignModel files = format_named(item.format).write(with_heads(path, item.heads));
    CHECK(files.key == item.key);
    const PthFile file = read_pth(path);
    const PickleValue* saved = file.root->find(item.key);
    REQUIRE(saved != nullptr);
    check_same_tensors(files.state_dict(), tensors_in(*saved));
  }
}

TEST_CASE("weights of timm's own networks are written as they were read") {
  for (const char* name : {"timm_vit_a", "timm_reg_a", "timm_deit_distilled_a"}) {
    INFO(name);
    const std::string start = "weight.";
    NamedTensors saved;
    for (const auto& [key, tensor] : read_safetensors(kFixtures + name + ".safetensors").tensors) {
      if (key.starts_with(start)) saved[key.substr(start.size())] = tensor;
    }
    const TempFolder folder;
    write_safetensors(folder.path() + "/model.safetensors", saved);
    const ForeignModel files = format_named("timm").write(with_heads(folder.path(), 3));
    check_same_tensors(files.state_dict(), saved);
  }
}

}  // namespace previt
