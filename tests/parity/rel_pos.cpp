#include "error.h"
#include "models/layers/rel_pos_bias.h"
#include "models/weights/weights.h"
#include "parity/vit.h"

using namespace previt;
using namespace previt::parity;

PARITY_CASE(beit_relpos_index) {
  const at::Tensor windows = fixture.at("input.windows");
  for (int64_t i = 0; i < windows.size(0); ++i) {
    const auto h = windows[i][0].item<int64_t>(), w = windows[i][1].item<int64_t>();
    const std::string key = fmt::format("output.index_{}x{}", h, w);
    check.exact(key, relative_position_index(h, w), fixture.at(key));
  }
}

// A shared table, given to every block and resampled: what loading for fine-tuning does.
PARITY_CASE(beit_relpos_interp) {
  VitOptions options;
  options.patch_size = 1;
  options.depth = fixture.integer("depth");
  options.rel_pos_bias = RelPosBias::per_block;
  for (const auto& [name, want] : fixture.group("output.table_")) {
    options.image_size = {std::stol(name), std::stol(name.substr(name.find('x') + 1))};
    const auto fitted = fit_positions(
        {{"rel_pos_bias.relative_position_bias_table", fixture.at("input.shared_table")}}, options);
    check.that(name + " for every block only",
               static_cast<int64_t>(fitted.size()) == options.depth);
    for (const auto& [block, table] : fitted) check.absolute(name + " " + block, table, want, 1e-4);
  }
}

// BEiT's fine-tuning model: a table per block, mean pooling, LayerScale, no key bias.
PARITY_CASE(beit_ft) {
  VitOptions options = beit_vit_options(fixture);
  options.num_classes = fixture.integer("num_classes");
  const auto vit = load_vit(fixture, options, check, kBeitRenames, {"relative_position_index"});
  const at::Tensor images = fixture.given("input.img");
  check_blocks(fixture, *vit, images, check);
  check.t1("features", vit->pooled(images), fixture.at("output.features"));
  const at::Tensor logits = vit->forward(images);
  check.t1("logits", logits, fixture.at("output.logits"));
  const at::Tensor loss = torch::cross_entropy_loss(logits, fixture.given("input.target"));
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  check_gradients(fixture, *vit, check, kBeitRenames);
}
