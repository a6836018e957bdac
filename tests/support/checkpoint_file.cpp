#include "support/checkpoint_file.h"

#include "models/vit.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"

namespace previt::test {

VitOptions small_vit() {
  VitOptions options;
  options.arch = "vit_tiny";
  options.embed_dim = 24;
  options.depth = 2;
  options.num_heads = 3;
  options.image_size = {16};
  options.patch_size = 8;
  return options;
}

std::string tiny_checkpoint(const std::string& folder, const VitOptions& options) {
  torch::manual_seed(11);
  const Vit vit(options);
  std::string path = folder + "/tiny.safetensors";
  write_safetensors(path, named_tensors(vit), model_metadata(vit.options(), {}, {}));
  return path;
}

}  // namespace previt::test
