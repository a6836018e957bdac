#include "pretrain/objectives/simmim.h"

#include "models/weights/weights.h"
#include "parity/vit.h"
#include "pretrain/losses/masked_pixels.h"

namespace previt::parity {
namespace {

// Ours is a matrix, and the mask token isn't the encoder's.
const std::map<std::string, std::string> kRenames = {{"gamma_1", "ls1.gamma"},
                                                     {"gamma_2", "ls2.gamma"},
                                                     {"encoder.mask_token", "mask_token"},
                                                     {"decoder.0.", "decoder."}};

NamedTensors with_matrix(NamedTensors tensors) {
  at::Tensor& decoder = tensors.at("decoder.0.weight");
  decoder = decoder.flatten(1);
  return tensors;
}

}  // namespace

PARITY_CASE(simmim) {
  RunOptions run;
  SimMimOptions::set_defaults(run);
  run.model = beit_vit_options(fixture, "weight.encoder.");
  SimMimOptions options;
  options.simmim.mask_unit = run.model.patch_size;  // the mask is given
  SimMim simmim(options, run);
  simmim.train();
  load_renamed(simmim, with_matrix(fixture.group("weight.")), check, kRenames);

  const at::Tensor images = fixture.given("input.img");
  const PatchMask mask(fixture.at("input.mask").flatten(1).to(torch::kBool), device());
  const int64_t rows = run.model.grid_height(), columns = run.model.grid_width();
  const at::Tensor tokens = simmim.encode(images, mask);
  check.t1("z", tokens.transpose(1, 2).unflatten(2, {rows, columns}), fixture.at("output.z"));
  check.t1("x_rec",
           unpatchify(simmim.predict_all(images, mask),
                      rows,
                      columns,
                      run.model.patch_size,
                      PixelOrder::channel_first),
           fixture.at("output.x_rec"));
  const at::Tensor loss = simmim.loss(images, mask);
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  Fixture matrices = fixture;
  matrices.tensors["grad.decoder.0.weight"] = fixture.at("grad.decoder.0.weight").flatten(1);
  check_gradients(matrices, simmim, check, kRenames);
}

}  // namespace previt::parity
