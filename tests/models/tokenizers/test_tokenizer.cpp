#include "error.h"
#include "models/tokenizers/dvae.h"
#include "models/tokenizers/tokenizer.h"
#include "models/tokenizers/vqkd.h"
#include "models/tokenizers/vqvae.h"
#include "models/weights/load_model.h"
#include "models/weights/weights.h"
#include "support/catch.h"
#include "support/checkpoint_file.h"
#include "support/temp_folder.h"
#include "support/tokenizer_file.h"

using namespace previt;

namespace {

const ImageGrid kImage{.image_size = {16, 24}, .patch_size = 8};
const ConvOptions kNetwork{.width = 16, .blocks = 1};
const CodebookOptions kCodes{.codes = 12, .dim = 4, .kmeans = 0};

VqkdNetworkOptions vqkd_options() {
  VqkdNetworkOptions options{
      .encoder = test::small_vit(), .decoder_depth = 1, .teacher_dim = 10, .codebook = kCodes};
  options.encoder.image_size = kImage.image_size;
  return options;
}

template <class Kind>
void check_round_trip(const typename Kind::Options& options) {
  INFO(Kind::kKind);
  torch::manual_seed(3);
  const TempFolder folder;
  Kind tokenizer(options);
  tokenizer.eval();
  const std::string path = folder.path() + "/a.safetensors";
  write_safetensors(
      path, named_tensors(tokenizer), model_metadata(describe_tokenizer<Kind>(options), {}, {}));
  const auto loaded = load_tokenizer(path);
  const at::Tensor pixels = torch::rand({3, 3, 16, 24});
  const at::Tensor tokens = tokenizer.tokens(pixels);
  CHECK(tokens.sizes() == at::IntArrayRef{3, 6});
  CHECK(tokens.scalar_type() == torch::kInt64);
  CHECK(tokens.max().item<int64_t>() < 12);
  CHECK(tokens.min().item<int64_t>() >= 0);
  CHECK(torch::equal(loaded->tokens(pixels), tokens));
  CHECK(loaded->vocab_size() == 12);
  CHECK(loaded->image_height() == 16);
  CHECK(loaded->image_width() == 24);
  CHECK(loaded->grid_height() == 2);
  CHECK(loaded->grid_width() == 3);
  CHECK_FALSE(loaded->is_training());
  for (const auto& parameter : loaded->parameters()) CHECK_FALSE(parameter.requires_grad());
  CHECK_THROWS_WITH(loaded->tokens(torch::rand({3, 3, 24, 16})),
                    ContainsSubstring("instead of [B, 3, 16, 24]"));
}

}  // namespace

TEST_CASE("every kind of tokenizer is what it was after saving and loading") {
  check_round_trip<Dvae>({.image = kImage, .network = kNetwork, .vocabulary = 12});
  check_round_trip<Vqvae>({.image = kImage, .network = kNetwork, .codebook = kCodes});
  check_round_trip<Vqkd>(vqkd_options());
}

TEST_CASE("a tokenizer's reconstructions have the size of its images") {
  const Dvae dvae({.image = kImage, .network = kNetwork, .vocabulary = 12});
  const at::Tensor tokens = torch::randint(12, {2, 6}, torch::kInt64);
  CHECK(dvae.decode(dvae.one_hot(tokens)).sizes() == at::IntArrayRef{2, 6, 16, 24});
  // Row by row: the last token of the first row.
  CHECK(dvae.one_hot(tokens)[0][tokens[0][2].item<int64_t>()][0][2].item<float>() == 1);
  const Vqvae vqvae({.image = kImage, .network = kNetwork, .codebook = kCodes});
  CHECK(vqvae.decode(torch::randn({2, 6, 4})).sizes() == at::IntArrayRef{2, 3, 16, 24});
  CHECK_THROWS_WITH(Vqvae({.image = {.image_size = {24}, .patch_size = 12},
                           .network = kNetwork,
                           .codebook = kCodes}),
                    ContainsSubstring("12 is no power of two"));
}

TEST_CASE("tokens stand row by row, each near what it was read from") {
  const TempFolder folder;
  const auto tokenizer = load_tokenizer(test::write_tiny_tokenizer(folder.path(), 16, 32, 8, 9));
  const at::Tensor dark = torch::zeros({1, 3, 16, 32});
  at::Tensor half = dark.clone();
  half.slice(3, 24, 32).fill_(1);  // the last column of the grid, 2 x 4
  const at::Tensor same = (tokenizer->tokens(dark) == tokenizer->tokens(half)).view({2, 4});
  CHECK(same.slice(1, 0, 2).all().item<bool>());
  CHECK_FALSE(same.all().item<bool>());
  CHECK(std::get<0>(torch::_unique(tokenizer->tokens(torch::rand({20, 3, 16, 32})))).numel() > 2);
}

TEST_CASE("a tokenizer is no backbone and a backbone no tokenizer: one clear line each") {
  const TempFolder folder;
  const std::string tokenizer = test::write_tiny_tokenizer(folder.path(), 16, 16, 8, 5);
  const std::string backbone = test::tiny_checkpoint(folder.path());
  CHECK_THROWS_WITH(load_model(tokenizer),
                    ContainsSubstring(tokenizer + ": is an image tokenizer, not a backbone"));
  CHECK_THROWS_WITH(load_tokenizer(backbone),
                    ContainsSubstring(backbone + ": is no image tokenizer but a backbone") &&
                        ContainsSubstring("train_tokenizer"));
  CHECK_THROWS_WITH(load_tokenizer(folder.path() + "/none"), ContainsSubstring("no such file"));
  CHECK_THROWS_WITH(load_tokenizer(folder.path()), ContainsSubstring("has no checkpoint"));
}

TEST_CASE("a tokenizer's damaged header is an error that names the file") {
  const TempFolder folder;
  const std::string path = folder.path() + "/a.safetensors";
  const Vqvae tokenizer({.image = kImage, .network = kNetwork, .codebook = kCodes});
  const auto write = [&](std::map<std::string, std::string> header) {
    write_safetensors(path, named_tensors(tokenizer), header);
  };
  write({{"tokenizer", "vqgan"}, {"tokenizer_options", "{}"}});
  CHECK_THROWS_WITH(load_tokenizer(path), ContainsSubstring(path + ": a tokenizer of kind vqgan"));
  write({{"tokenizer", "vqvae"}, {"tokenizer_options", "[1"}});
  CHECK_THROWS_WITH(load_tokenizer(path), ContainsSubstring(path + ": header without"));
  write({{"tokenizer", "vqvae"}, {"tokenizer_options", R"({"colour": 1})"}});
  CHECK_THROWS_WITH(load_tokenizer(path), ContainsSubstring("colour"));
  write({{"tokenizer", "vqvae"}, {"tokenizer_options", "{}"}});  // another size of codebook
  CHECK_THROWS_AS(load_tokenizer(path), Error);
}
