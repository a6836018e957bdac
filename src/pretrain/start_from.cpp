#include "pretrain/start_from.h"

#include <torch/types.h>

#include <algorithm>
#include <set>
#include <utility>

#include "error.h"
#include "models/weights/checkpoint.h"
#include "models/weights/finite.h"
#include "models/weights/misfits.h"
#include "models/weights/name_patterns.h"
#include "models/weights/weights.h"

namespace previt {
namespace {

std::string first_word(const std::string& name) { return name.substr(0, name.find('.')); }

std::vector<int64_t> without_ones(const at::Tensor& tensor) {
  std::vector<int64_t> sizes = tensor.sizes().vec();
  std::erase(sizes, 1);
  return sizes;
}

// What the file has besides the backbone. Our checkpoints put before the names where they come
// from; averages, which sort first, stand for what was averaged.
NamedTensors parts_of(const LoadedModel& source) {
  NamedTensors parts = source.others;
  for (const auto& [name, tensor] : source.extra) {
    std::string own = name;
    for (const std::string kept : {kAverageTensors, kObjectiveTensors}) {
      if (name.starts_with(kept)) own = name.substr(kept.size());
    }
    parts.emplace(own, tensor);
  }
  return parts;
}

std::string grid_text(const VitOptions& o) {
  return fmt::format("{} x {}", o.grid_height(), o.grid_width());
}

std::string type_text(at::ScalarType type) {
  if (type == at::kHalf) return "float16";
  if (type == at::kBFloat16) return "bfloat16";
  return type == at::kDouble ? "float64" : "another type";
}

class Start {
 public:
  Start(Objective& objective, const LoadedModel& source, const std::string& allow)
      : objective_(objective),
        source_(source),
        misfits_(source.source, &allow),
        parts_(parts_of(source)) {
    for (const auto& [name, tensor] : parts_) unused_.insert(name);
  }

  StartReport run();

 private:
  // A tensor of the objective, and the file's for it.
  struct Pair {
    std::string own, name;
    at::Tensor tensor;
  };
  struct Part {
    std::vector<Pair> found;
    std::vector<std::string> spare;  // what the file need not have, and has not
    int64_t all = 0;
    std::string lacking, misfit;  // the first of each kind; with one, the part starts anew
  };

  NamedTensors weights_of(const std::string& network);
  at::Tensor take(NamedTensors& weights, const std::string& name);
  void load_backbone(const StartingBackbone& backbone);
  void add(Part& part, const std::string& own, const at::Tensor& tensor, const InFiles& in);
  void load_parts();
  void load(const std::string& name, const Part& part);
  void tell_positions(const Vit& vit, const NamedTensors& weights);
  void count_type(const at::Tensor& tensor);

  Objective& objective_;
  const LoadedModel& source_;
  Misfits misfits_;
  const NamedTensors parts_;
  std::set<std::string> unused_;  // of parts_
  std::set<const void*> of_backbones_;
  std::map<std::string, int64_t> types_;  // other ones than float32
  StartReport report_;
};

// --- backbones -----------------------------------------------------------------------------------

// Those of this network where the file has several, else those of the chosen one.
NamedTensors Start::weights_of(const std::string& network) {
  NamedTensors weights;
  const std::string prefix = network + ".backbone.";
  for (const auto& [name, tensor] : parts_) {
    if (network.empty() || !name.starts_with(prefix)) continue;
    weights[name.substr(prefix.size())] = tensor;
    unused_.erase(name);
  }
  return weights.empty() ? source_.weights : weights;
}

// Undefined if there is none. A norm that the file's own pooling does without lies beside the
// backbone.
at::Tensor Start::take(NamedTensors& weights, const std::string& name) {
  if (auto found = weights.extract(name)) return found.mapped();
  const auto beside = parts_.find(name);
  if (beside == parts_.end()) return {};
  unused_.erase(name);
  return beside->second;
}

void Start::load_backbone(const StartingBackbone& backbone) {
  Vit& vit = *backbone.vit;
  const VitOptions& old = source_.options;
  VitOptions fit = vit.options();
  fit.pos_resize = old.pos_resize;
  NamedTensors weights =
      fit_positions(weights_of(backbone.network), fit, {old.grid_height(), old.grid_width()});
  tell_positions(vit, weights);

  NamedTensors fitting;
  std::vector<std::string> anew;
  for (const auto& [name, own] : named_tensors(vit)) {
    of_backbones_.insert(own.unsafeGetTensorImpl());
    const at::Tensor tensor = take(weights, name);
    if (tensor.defined() && tensor.sizes() == own.sizes()) {
      fitting[name] = tensor;
      count_type(tensor);
      continue;
    }
    const bool allowed = tensor.defined() ? misfits_.other_shape(name, tensor.sizes(), own.sizes())
                                          : misfits_.lacks(name);
    if (allowed) anew.push_back(name);
  }
  for (const auto& [name, tensor] : weights) {
    if (!is_classifier(name)) misfits_.left_over(name);
    if (report_.loaded.empty()) ++report_.left_out[first_word(name)];
  }
  misfits_.require_none();
  require_finite(fitting, source_.source);
  load_into(vit, fitting);
  const std::string group = backbone.network + (backbone.network.empty() ? "" : " ") + "backbone";
  report_.loaded[group] = std::ssize(fitting);
  for (const std::string& family : families_of(anew)) {
    const bool told =
        std::find(report_.anew.begin(), report_.anew.end(), family) != report_.anew.end();
    if (!told) report_.anew.push_back(family);  // of the other backbone
  }
}

void Start::tell_positions(const Vit& vit, const NamedTensors& weights) {
  const VitOptions &from = source_.options, &to = vit.options();
  const bool same = from.grid_height() == to.grid_height() && from.grid_width() == to.grid_width();
  const bool tables = std::any_of(weights.begin(), weights.end(), [](const auto& entry) {
    return entry.first == "pos_embed" || entry.first.ends_with("relative_position_bias_table");
  });
  if (same || !tables || !report_.converted.empty()) return;
  report_.converted.push_back(fmt::format("positions from {} to {} patches ({})",
                                          grid_text(from),
                                          grid_text(to),
                                          name_of(from.pos_resize)));
}

void Start::count_type(const at::Tensor& tensor) {
  if (tensor.scalar_type() != at::kFloat) ++types_[type_text(tensor.scalar_type())];
}

// --- other parts ---------------------------------------------------------------------------------

void Start::add(Part& part, const std::string& own, const at::Tensor& tensor, const InFiles& in) {
  ++part.all;
  const auto name = std::find_if(in.names.begin(), in.names.end(), [&](const std::string& one) {
    return parts_.contains(one);
  });
  if (name == in.names.end()) {
    if (!in.needed) part.spare.push_back(own);
    if (in.needed && part.lacking.empty()) part.lacking = in.names.front();
    return;
  }
  const at::Tensor found = objective_.fitted(own, parts_.at(*name), source_.options);
  // A 1 x 1 convolution is a matrix, and a token has any number of dimensions.
  if (without_ones(found) != without_ones(tensor)) {
    if (!part.misfit.empty()) return;
    part.misfit = fmt::format("{} is {}, not {}", *name, found.sizes().vec(), tensor.sizes().vec());
    return;
  }
  part.found.push_back({own, *name, found.reshape(tensor.sizes())});
}

void Start::load(const std::string& name, const Part& part) {
  if (part.found.empty() || !part.lacking.empty() || !part.misfit.empty()) {
    std::string why = part.misfit;
    if (why.empty() && !part.found.empty()) why = "lacks " + part.lacking;
    report_.anew.push_back(
        fmt::format("{} ({}{})", name, part.all, why.empty() ? "" : "; the file's " + why));
    return;
  }
  NamedTensors fitting;
  for (const Pair& pair : part.found) {
    fitting[pair.own] = pair.tensor;
    unused_.erase(pair.name);
    count_type(pair.tensor);
  }
  require_finite(fitting, source_.source);
  load_into(objective_, fitting);
  report_.loaded[name] = std::ssize(fitting);
  report_.anew.insert(report_.anew.end(), part.spare.begin(), part.spare.end());
}

void Start::load_parts() {
  std::map<std::string, Part> parts;
  for (const auto& [own, tensor] : named_tensors(objective_)) {
    if (of_backbones_.contains(tensor.unsafeGetTensorImpl())) continue;
    const InFiles in = objective_.in_files(own);
    add(parts[in.part], own, tensor, in);
  }
  for (const auto& [name, part] : parts) load(name, part);
}

StartReport Start::run() {
  const torch::NoGradGuard no_grad;
  report_.source = source_.source;
  if (!source_.choice.empty()) report_.source += " (" + source_.choice + ")";
  for (const StartingBackbone& backbone : objective_.starting_backbones()) load_backbone(backbone);
  load_parts();
  misfits_.warn_of_idle_patterns();
  for (const auto& [type, count] : types_) {
    report_.converted.push_back(fmt::format("{} tensors from {}", count, type));
  }
  for (const std::string& name : unused_) ++report_.left_out[first_word(name)];
  return std::move(report_);
}

}  // namespace

StartReport start_from(Objective& objective, const LoadedModel& source, const std::string& allow) {
  if (objective.starting_backbones().empty()) {
    fail_usage("model.from: this objective has no Vision Transformer that could start from {}",
               source.source);
  }
  return Start(objective, source, allow).run();
}

}  // namespace previt
