#include "parity/parity.h"
#include "pretrain/losses/koleo.h"
#include "pretrain/losses/sinkhorn.h"

namespace previt::parity {

PARITY_CASE(dinov2_sinkhorn) {
  const at::Tensor logits = fixture.at("input.teacher_output");
  const double temperature = fixture.number("temp");
  const int64_t usual = fixture.integer("n_iterations");
  for (const auto& [name, want] : fixture.group("output.")) {
    // dino, ibot: the usual number of iterations; dino_N_iterations: N.
    const auto digits = name.find_first_of("0123456789");
    const int64_t iterations =
        digits == std::string::npos ? usual : std::stoll(name.substr(digits));
    check.t1(name, sinkhorn_knopp(logits, temperature, iterations), want);
  }
}

PARITY_CASE(dinov2_koleo) {
  const at::Tensor x = fixture.at("input.x").clone().requires_grad_();
  check.exact("nn_index", nearest_rows(x).nearest, fixture.at("output.nn_index"));
  const at::Tensor loss = koleo_loss(x);
  check.t1("loss", loss, fixture.at("output.loss"));
  loss.backward();
  check.t2("grad_input.x", x.grad(), fixture.at("grad_input.x"));
}

}  // namespace previt::parity
