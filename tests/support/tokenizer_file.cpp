#include "support/tokenizer_file.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "models/tokenizers/vqvae.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"

namespace previt::test {

std::string write_tiny_tokenizer(
    const std::string& folder, int64_t height, int64_t width, int64_t patch, int64_t codes) {
  torch::manual_seed(17);
  const torch::NoGradGuard no_grad;
  const VqvaeNetworkOptions options{
      .image = {.image_size = {height, width}, .patch_size = patch},
      .network = {.width = 8, .blocks = 0},
      .codebook = {.codes = codes, .dim = 4, .normalize = false, .kmeans = 3}};
  Vqvae tokenizer(options);
  VectorQuantizer& quantizer = tokenizer.quantizer();
  quantizer.collect(quantizer.forward(tokenizer.encode(torch::rand({32, 3, height, width}))));
  quantizer.update(17, 0);
  std::string path = folder + "/tokenizer.safetensors";
  write_safetensors(
      path, named_tensors(tokenizer), model_metadata(describe_tokenizer<Vqvae>(options), {}, {}));
  return path;
}

}  // namespace previt::test
