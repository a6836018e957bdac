#include "pretrain/train/graphed_steps.h"

#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "clocks.h"
#include "communicator.h"
#include "error.h"
#include "failure.h"
#include "log.h"
#include "models/kernels/weight_arena.h"

namespace previt {
namespace {

// "" if nothing is in the way.
std::string obstacle(const Objective& objective, const RunOptions& options) {
  const TrainOptions& train = options.train;
  if (!world().alone()) return "several processes share a step";
  if (!objective.replayable()) return "this method gives each step other work";
  if (train.micro() != train.batch) return "a step has several micro-batches";
  if (train.checkpoint_blocks != 0) return "train.checkpoint_blocks draws the same numbers twice";
  const auto parameters = objective.parameters();
  if (!std::all_of(parameters.begin(), parameters.end(), in_arena)) {
    return "some weights lie apart from the others";
  }
  return "";
}

// Of all that are defined.
double length(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> lengths;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.defined()) lengths.push_back(tensor.norm());
  }
  return lengths.empty() ? 0 : torch::stack(lengths).norm().item<double>();
}

// The same tensors must be defined in both.
std::vector<at::Tensor> differences(const std::vector<at::Tensor>& a,
                                    const std::vector<at::Tensor>& b) {
  std::vector<at::Tensor> all(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    require(a[i].defined() == b[i].defined(), "other weights have a gradient");
    if (a[i].defined()) all[i] = a[i] - b[i];
  }
  return all;
}

}  // namespace

std::unique_ptr<GraphedSteps> GraphedSteps::make(const Objective& objective,
                                                 const RunOptions& options,
                                                 at::Device device,
                                                 const DeviceGraphMaker& graphs) {
  const GraphChoice choice = options.train.cuda_graph;
  if (choice == GraphChoice::off || device.is_cpu()) return nullptr;
  std::string why = obstacle(objective, options);
  if (why.empty() && graphs(device) == nullptr) {
    why = device.is_cuda() ? "built without CUDA's headers" : device.str() + " has no CUDA graphs";
  }
  if (why.empty()) {
    return std::unique_ptr<GraphedSteps>(new GraphedSteps(objective, choice, device, graphs));
  }
  const std::string text = fmt::format("train.cuda_graph: no step is replayed: {}", why);
  choice == GraphChoice::on ? log_warning(text) : log_line(text);
  return nullptr;
}

GraphedSteps::GraphedSteps(const Objective& objective,
                           GraphChoice choice,
                           at::Device device,
                           DeviceGraphMaker graphs)
    : objective_(objective),
      parameters_(objective.parameters()),
      choice_(choice),
      device_(device),
      graphs_(std::move(graphs)) {}

StepResult GraphedSteps::step(const Batch& batch,
                              const std::function<void()>& seed,
                              const Passes& passes) {
  heed_what_is_trained();
  if (possible_ && pays_) {
    StepResult result;
    const std::string failure = failure_of([&] { result = attempt(batch, seed, passes); });
    if (failure.empty()) return result;
    warn("train.cuda_graph: no step is replayed: {}", failure);
    possible_ = false;
    drop_graph();
    set_gradients(std::vector<at::Tensor>(parameters_.size()));
  }
  seed();
  return passes(batch);
}

StepResult GraphedSteps::attempt(const Batch& batch,
                                 const std::function<void()>& seed,
                                 const Passes& passes) {
  take_in(batch);
  if (rehearsed_ < kRehearsals) {
    if (graph_ == nullptr) graph_ = graphs_(device_);
    ++rehearsed_;
    StepResult result;
    graph_->rehearse([&] {
      seed();
      result = passes(own_);
    });
    return result;
  }
  if (!recorded_) record(seed, passes);
  if (tried_ < kTrials) return tried_both_ways(seed, passes);
  seed();
  graph_->replay();
  set_gradients(gradients_);
  return result_;
}

// Where the samples come from is the host's knowledge, which a graph can't have.
void GraphedSteps::take_in(const Batch& given) {
  Batch batch = given;
  if (batch.drawn.empty()) batch.drawn = objective_.draw(batch);
  const auto theirs = device_tensors(batch);
  if (own_.views.empty()) {
    own_ = batch;
    own_.indices.reset();
    for (at::Tensor* tensor : device_tensors(own_)) {
      *tensor = torch::empty_like(*tensor, tensor->options().device(device_));
    }
  }
  const auto own = device_tensors(own_);
  require(own.size() == theirs.size(), "batches have more or fewer tensors");
  for (size_t i = 0; i < own.size(); ++i) {
    require(own[i]->sizes() == theirs[i]->sizes(),
            "tensors of a batch are {} here, {} there",
            own[i]->sizes(),
            theirs[i]->sizes());
    own[i]->copy_(*theirs[i], /*non_blocking=*/true);
  }
}

void GraphedSteps::heed_what_is_trained() {
  std::vector<bool> trained;
  for (const at::Tensor& parameter : parameters_) trained.push_back(parameter.requires_grad());
  if (trained == trained_) return;
  drop_graph();
  pays_ = true;  // until it is tried
  trained_ = std::move(trained);
}

void GraphedSteps::record(const std::function<void()>& seed, const Passes& passes) {
  // The graph must make the copies of weights itself, at each replay; and nothing else may take
  // them for made.
  forget_copies(parameters_);
  seed();
  graph_->record([&] { result_ = passes(own_); });
  forget_copies(parameters_);
  gradients_ = gradients();
  recorded_ = true;
}

StepResult GraphedSteps::tried_both_ways(const std::function<void()>& seed, const Passes& passes) {
  StepResult plain;
  set_gradients(std::vector<at::Tensor>(parameters_.size()));
  const double as_ever = seconds([&] {
    seed();
    plain = passes(own_);
  });
  const std::vector<at::Tensor> plain_gradients = gradients();
  const double replayed = seconds([&] {
    seed();
    graph_->replay();
  });
  const bool compared = compare(plain, plain_gradients);
  set_gradients(plain_gradients);
  if (!compared) {
    ++unclear_;
    require(unclear_ < kTrials, "{} steps had no usable gradient", unclear_);
    return plain;
  }
  plain_ = tried_ == 0 ? as_ever : std::min(plain_, as_ever);
  replayed_ = tried_ == 0 ? replayed : std::min(replayed_, replayed);
  if (++tried_ == kTrials) decide();
  return plain;
}

// Kernels that add up in no fixed order may round otherwise. Old weights, masks or random numbers
// make another gradient altogether.
bool GraphedSteps::compare(const StepResult& plain,
                           const std::vector<at::Tensor>& gradients) const {
  const double loss = plain.loss.item<double>(), replayed = result_.loss.item<double>();
  const double whole = length(gradients);
  if (!std::isfinite(loss) || !std::isfinite(whole) || whole == 0) return false;
  require(std::abs(replayed - loss) <= 1e-3 * std::abs(loss),
          "a replay's loss is {} instead of {}",
          replayed,
          loss);
  const double difference = length(differences(gradients_, gradients)) / whole;
  require(difference <= 1e-2, "a replay's gradient is off by {:.2g} of its length", difference);
  return true;
}

void GraphedSteps::decide() {
  const double share = replayed_ / plain_;
  pays_ = choice_ == GraphChoice::on || share < 0.97;
  info("train.cuda_graph: forward and backward take {:.2f} of their time when they are replayed{}",
       share,
       pays_ ? "" : "; they are launched as ever");
  if (!pays_) drop_graph();
}

void GraphedSteps::drop_graph() {
  graph_.reset();
  result_ = {};
  gradients_.clear();
  own_ = {};
  rehearsed_ = tried_ = unclear_ = 0;
  recorded_ = false;
  forget_copies(parameters_);  // those that a recording has begun
}

double GraphedSteps::seconds(const std::function<void()>& work) const {
  const auto wait = [this] {
    c10::Event all(device_.type());
    all.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
    all.synchronize();
  };
  wait();
  const auto begin = std::chrono::steady_clock::now();
  work();
  wait();
  return seconds_since(begin);
}

std::vector<at::Tensor> GraphedSteps::gradients() const {
  std::vector<at::Tensor> all;
  for (const at::Tensor& parameter : parameters_) all.push_back(parameter.grad());
  return all;
}

void GraphedSteps::set_gradients(const std::vector<at::Tensor>& gradients) {
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].mutable_grad() = gradients[i];
}

}  // namespace previt
