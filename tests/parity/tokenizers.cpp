#include "models/tokenizers/kmeans.h"
#include "models/tokenizers/vqkd.h"
#include "models/weights/weights.h"
#include "parity/vit.h"
#include "pretrain/objectives/vqkd.h"

namespace previt::parity {
namespace {

at::Tensor channels_last(const at::Tensor& map) { return map.permute({0, 2, 3, 1}); }

// [B, L, D] → [B, D, gh, gw]
at::Tensor as_map(const at::Tensor& rows, const at::Tensor& like) {
  return rows.transpose(1, 2).reshape(like.sizes());
}

// The official names on the left become ours.
NamedTensors our_names(const NamedTensors& tensors) {
  const std::vector<std::pair<std::string, std::string>> renames = {
      {"embedding.weight", "codebook"}, {"embedding.initted", "started"}, {"fc_norm", "norm"}};
  NamedTensors ours;
  for (const auto& [official, tensor] : tensors) {
    // The official code sets these two once and reads them nowhere.
    if (official.ends_with("embedding.cluster_size") || official.ends_with("embed_avg")) continue;
    std::string name = official;
    for (const auto& [from, to] : renames) {
      const auto at = name.find(from);
      if (at != std::string::npos) name.replace(at, from.size(), to);
    }
    ours[name] = tensor;
  }
  return ours;
}

void load_all(torch::nn::Module& module, const Fixture& fixture, Check& check) {
  const LoadReport report = load_into(module, our_names(fixture.group("weight.")));
  module.to(device());
  for (const auto& name : report.missing) check.fail(name, "is not in the file");
  for (const auto& name : report.unexpected) check.fail(name, "is not in the model");
}

CodebookOptions codebook_of(const Fixture& fixture, const char* codes, const char* dim) {
  return {.codes = fixture.integer(codes),
          .dim = fixture.integer(dim),
          .decay = fixture.number("decay"),
          .commitment = fixture.config.value("beta", 1.0)};
}

void check_training_call(const Fixture& fixture,
                         VectorQuantizer& quantizer,
                         int64_t i,
                         Check& check) {
  const auto key = [&](const char* name) { return fmt::format("{}_{}", name, i); };
  const at::Tensor z = fixture.given("input.z")[i].clone().requires_grad_();
  const Quantized got = quantizer.forward(channels_last(z));
  check.exact(key("ids"), got.tokens.flatten(), fixture.at(key("output.ids")));
  check.t1(key("loss"), got.commitment, fixture.at(key("output.loss")));
  check.t1(key("zq"), got.values, channels_last(fixture.at(key("output.zq"))));
  ((got.values * channels_last(fixture.given("input.r")[i])).sum() + got.commitment).backward();
  check.t2(key("grad_input.z"), z.grad(), fixture.at(key("grad_input.z")));
  quantizer.collect(got);
  quantizer.update(0, i);
  check.t1(key("codebook"), quantizer.codebook, fixture.at(key("output.codebook_after")));
  check.t1(
      key("cluster_size"), quantizer.cluster_size, fixture.at(key("output.cluster_size_after")));
}

VqkdNetworkOptions vqkd_options(const Fixture& fixture) {
  VqkdNetworkOptions o;
  o.encoder = beit_vit_options(fixture, "weight.encoder.");
  o.decoder_depth = fixture.integer("decoder_depth");
  o.teacher_dim = fixture.integer("teacher_dim");
  o.codebook = codebook_of(fixture, "n_code", "code_dim");
  return o;
}

}  // namespace

PARITY_CASE(beit2_kmeans) {
  const at::Tensor samples = fixture.given("input.samples");
  const at::Tensor first = fixture.given("input.perm").slice(0, 0, fixture.integer("k"));
  const Clusters got = kmeans(
      samples, samples.index_select(0, first), fixture.integer("iters"), fixture.flag("cosine"));
  check.t1("means", got.means, fixture.at("output.means"));
  check.exact("bins", got.counts.to(torch::kInt64), fixture.at("output.bins"));
}

PARITY_CASE(beit2_quantizer) {
  VectorQuantizer quantizer(codebook_of(fixture, "n_embed", "dim"));
  load_all(quantizer, fixture, check);
  for (int64_t i = 0; i < fixture.integer("steps"); ++i) {
    check_training_call(fixture, quantizer, i, check);
  }
  // Looking up changes nothing but what the official code counts.
  const Quantized got = quantizer.forward(channels_last(fixture.given("input.z")[0]));
  check.exact("eval_ids", got.tokens.flatten(), fixture.at("output.eval_ids"));
  check.t1("eval_loss", got.commitment, fixture.at("output.eval_loss"));
  check.t1("eval_codebook", quantizer.codebook, fixture.at("output.eval_codebook"));
  const at::Tensor hits = torch::bincount(got.tokens.flatten(), {}, fixture.integer("n_embed"));
  quantizer.count(hits.to(torch::kFloat32));
  check.t1(
      "eval_cluster_size", quantizer.cluster_size, fixture.at("output.eval_cluster_size_after"));
}

PARITY_CASE(beit2_vqkd) {
  Vqkd vqkd(vqkd_options(fixture));
  load_all(vqkd, fixture, check);
  const at::Tensor pixels = fixture.given("input.img01");
  const at::Tensor latents = vqkd.encode(pixels);
  check.t1("pre_quant", latents, fixture.at("output.pre_quant"));
  const Quantized quantized = vqkd.quantizer().forward(latents);
  check.exact("ids", quantized.tokens.flatten(), fixture.at("output.ids"));
  const at::Tensor map = fixture.at("output.quantize");
  check.t1("quantize", as_map(quantized.values, map), map);
  check.t1("emb_loss", quantized.commitment, fixture.at("output.emb_loss"));
  const at::Tensor features = vqkd.decode(quantized.values);
  check.t1("rec", features, fixture.at("output.rec"));
  const at::Tensor error = cosine_loss(features, fixture.given("input.teacher_target"));
  check.t1("rec_loss", error, fixture.at("output.rec_loss"));
  const at::Tensor loss = error + quantized.commitment;
  check.t1("loss", loss, fixture.at("output.loss"));

  loss.backward();
  const auto own = named_tensors(vqkd);
  for (const auto& [name, want] : our_names(fixture.group("grad."))) {
    const auto it = own.find(name);
    check.t2("grad." + name, it == own.end() ? at::Tensor() : it->second.grad(), want);
  }
  vqkd.quantizer().collect(quantized);
  vqkd.quantizer().update(0, 0);
  check.t1("codebook", vqkd.quantizer().codebook, fixture.at("output.codebook_after"));
  check.t1("cluster_size", vqkd.quantizer().cluster_size, fixture.at("output.cluster_size_after"));
  vqkd.eval();
  check.exact("eval_token_ids", vqkd.tokens(pixels), fixture.at("output.eval_token_ids"));
}

}  // namespace previt::parity
