#include "parity/mae_forward.h"

#include "models/weights/weights.h"

namespace previt::parity {

void MaeForward::check(const LoadedModel& model,
                       const MaeMethodOptions& method,
                       Check& check) const {
  RunOptions run;
  run.model = model.options;
  MaeOptions options;
  options.mae = method;
  Mae mae(options, run);
  NamedTensors weights = model.extra;
  for (const auto& [name, tensor] : model.weights) weights["encoder." + name] = tensor;
  const LoadReport report = load_into(mae, weights);
  check.that("every weight of the autoencoder is in the file",
             report.missing.empty() && report.unexpected.empty());

  const RandomMask masked = mae.mask_of(noise);
  check.exact("mask", masked.binary(), mask);
  check.t1("prediction", mae.predict_all(mae.encode(images, masked), masked), prediction);
  check.t1("loss", mae.loss(images, masked), loss);
}

}  // namespace previt::parity
