#include "models/weights.h"
#include "parity/vit.h"

namespace previt::parity {
namespace {

NamedTensors renamed(const NamedTensors& tensors,
                     const std::map<std::string, std::string>& renames,
                     const std::vector<std::string>& ignored) {
  NamedTensors result;
  for (const auto& [official, tensor] : tensors) {
    std::string name = official;
    for (const auto& [from, to] : renames) {
      const auto at = name.find(from);
      if (at != std::string::npos) name.replace(at, from.size(), to);
    }
    const bool skip = std::any_of(ignored.begin(), ignored.end(), [&](const std::string& part) {
      return name.find(part) != std::string::npos;
    });
    if (!skip) result[name] = tensor;
  }
  return result;
}

}  // namespace

VitOptions vit_options(const Fixture& fixture) {
  VitOptions o;
  o.arch = "custom";
  o.embed_dim = fixture.integer("embed_dim");
  o.depth = fixture.integer("depth");
  o.num_heads = fixture.integer("num_heads");
  o.mlp_ratio = fixture.number("mlp_ratio");
  o.patch_size = fixture.integer("patch_size");
  const auto& size = fixture.config.at("img_size");
  o.image_size = size.is_array() ? size.get<std::vector<int64_t>>()
                                 : std::vector<int64_t>{size.get<int64_t>()};
  o.in_channels = fixture.at("weight.patch_embed.proj.weight").size(1);
  return o;
}

std::shared_ptr<Vit> load_vit(const Fixture& fixture,
                              const VitOptions& options,
                              Check& check,
                              const std::map<std::string, std::string>& renames,
                              const std::vector<std::string>& ignored) {
  auto vit = std::make_shared<Vit>(options);
  const auto report = load_into(*vit, renamed(fixture.group("weight."), renames, ignored));
  for (const auto& name : report.missing) check.fail("weight." + name, "is not in the file");
  for (const auto& name : report.unexpected) check.fail("weight." + name, "is not in the model");
  return vit;
}

void check_gradients(const Fixture& fixture,
                     const torch::nn::Module& module,
                     Check& check,
                     const std::map<std::string, std::string>& renames,
                     const std::vector<std::string>& ignored) {
  const auto own = named_tensors(module);
  for (const auto& [name, want] : renamed(fixture.group("grad."), renames, ignored)) {
    const auto it = own.find(name);
    check.t2("grad." + name, it == own.end() ? at::Tensor() : it->second.grad(), want);
  }
}

void check_blocks(const Fixture& fixture, Vit& vit, const at::Tensor& images, Check& check) {
  const auto blocks = vit.intermediate(images, vit.options().depth, /*normed=*/false);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const std::string key = fmt::format("output.block.{}", i);
    check.t1(key, blocks[i], fixture.at(key));
  }
}

std::vector<std::vector<int64_t>> other_sizes(const Fixture& fixture) {
  return fixture.config.at("other_hw").get<std::vector<std::vector<int64_t>>>();
}

}  // namespace previt::parity
