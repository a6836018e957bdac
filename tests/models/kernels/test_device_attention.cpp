// Attention as it is asked of LibTorch on a device: values and gradients, and that each call has the
// form in which flash, cuDNN's and the memory-efficient kernel take it.
#include <ATen/record_function.h>

#include <map>
#include <mutex>
#include <utility>

#include "models/kernels/kernels.h"
#include "models/layers/block.h"
#include "support/counted_device.h"
#include "support/plain_kernels.h"

using namespace previt;
using namespace previt::test;

namespace {

// Calls of LibTorch's operator, and of those that move data, in all threads.
struct Calls {
  std::vector<std::vector<at::Tensor>> attention;  // q, k, v and, if there is one, the mask
  std::map<std::string, int> by_name;
};
Calls calls;
std::mutex calls_mutex;

std::unique_ptr<at::ObserverContext> note(const at::RecordFunction& function) {
  const std::lock_guard lock(calls_mutex);
  ++calls.by_name[function.name()];
  if (function.name() != std::string("aten::scaled_dot_product_attention")) return nullptr;
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& input : function.inputs()) {
    if (input.isTensor() && input.toTensor().defined()) tensors.push_back(input.toTensor());
  }
  calls.attention.push_back(tensors);
  return nullptr;
}

Calls calls_of(const std::function<void()>& work) {
  calls = {};
  const auto handle = at::addGlobalCallback(at::RecordFunctionCallback(note).needsInputs(true));
  work();
  at::removeCallback(handle);
  return std::exchange(calls, {});
}

// What LibTorch's choice of a kernel asks of strides, types and dimensions (sdp_utils.cpp).
void check_form(const std::vector<at::Tensor>& call, at::ScalarType type) {
  for (const at::Tensor& x : call) {
    CHECK(x.dim() == 4);
    CHECK(x.scalar_type() == type);
    CHECK(x.stride(-1) == 1);
  }
  const int64_t batch = call[0].size(0), heads = call[0].size(1), queries = call[0].size(2);
  for (size_t i = 0; i < 3; ++i) {  // tokens outside heads, whatever is packed beside them
    CHECK(call[i].stride(1) == call[i].size(3));
    CHECK(call[i].stride(2) % (heads * call[i].size(3)) == 0);
    CHECK(call[i].stride(0) == call[i].size(2) * call[i].stride(2));
  }
  if (call.size() == 3) return;
  const at::Tensor& mask = call[3];
  CHECK((mask.size(0) == 1 || mask.size(0) == batch));
  CHECK((mask.size(1) == 1 || mask.size(1) == heads));
  CHECK((mask.size(2) == 1 || mask.size(2) == queries));
  CHECK(mask.size(3) == call[1].size(2));
}

// The operation on the device against the plain formula on the CPU, which is in float32.
void check_on_device(const Operation& operation, const std::vector<at::Tensor>& inputs) {
  const auto expected = results(operation, inputs, torch::kFloat, true, torch::kCPU);
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    std::vector<at::Tensor> got;
    const Calls made =
        calls_of([&] { got = results(operation, inputs, type, false, counted_device()); });
    REQUIRE(made.attention.size() == 1);
    check_form(made.attention[0], type);
    for (size_t i = 0; i < expected.size(); ++i) {
      INFO(type << ", result " << i);
      CHECK(distance(got[i], expected[i]) < (type == torch::kFloat ? 1e-6 : 1e-2));
    }
  }
}

const Operation kSelf = [](const auto& t) {
  return self_attention(t[0], 3, t.size() > 1 ? t[1] : at::Tensor());
};
const Operation kCross = [](const auto& t) {
  return cross_attention(t[0], t[1], 3, t.size() > 2 ? t[2] : at::Tensor());
};

}  // namespace

TEST_CASE("attention on a device is LibTorch's operator, with each kind of bias") {
  if (!counted_device_has_gradients()) return;
  torch::manual_seed(4);
  for (const int64_t tokens : {2, 17, 50}) {  // whole rows of 16 bytes or not
    INFO(tokens << " tokens");
    const at::Tensor qkv = torch::randn({2, tokens, 3 * 3 * 16});
    check_on_device(kSelf, {qkv});
    check_on_device(kSelf, {qkv, torch::randn({3, tokens, tokens})});
    check_on_device(kSelf, {qkv, torch::randn({1, 3, 1, tokens})});
    check_on_device(kSelf, {qkv, torch::randn({2, 1, tokens, tokens})});
    const at::Tensor q = torch::randn({2, 5, 3 * 16}), kv = torch::randn({2, tokens, 2 * 3 * 16});
    check_on_device(kCross, {q, kv});
    check_on_device(kCross, {q, kv, torch::randn({3, 5, tokens})});
  }
}

TEST_CASE("attention on a device: a bias whose keys don't lie side by side") {
  if (!counted_device_has_gradients()) return;
  const at::Tensor qkv = torch::randn({2, 6, 3 * 3 * 16});
  check_on_device([](const auto& t) { return self_attention(t[0], 3, t[1].permute({2, 0, 1})); },
                  {qkv, torch::randn({6, 6, 3})});
}

TEST_CASE("a block on a device attends by LibTorch's operator for any queries but a few") {
  if (!counted_device_has_gradients()) return;
  torch::manual_seed(5);
  const auto block = std::make_shared<Block>(BlockOptions{.dim = 48, .heads = 3});
  {
    torch::NoGradGuard no_grad;
    for (auto& parameter : block->parameters()) parameter.normal_(0, 0.3);
  }
  const at::Tensor tokens = torch::randn({2, 9, 48}), table = torch::randn({3, 9, 9});
  const auto [first, end, kernels] =
      GENERATE(std::tuple{0, 9, 1}, std::tuple{1, 9, 1}, std::tuple{0, 1, 0});
  INFO(first << " to " << end);
  const auto gradients = [&](at::Device device) {
    block->to(device);
    const ComputeTypeGuard guard(device.is_cpu() ? torch::kFloat : torch::kBFloat16);
    std::vector<at::Tensor> inputs = block->parameters();
    for (const at::Tensor& x : {tokens, table}) inputs.push_back(x.to(device).requires_grad_());
    const at::Tensor out =
        block->forward(inputs[inputs.size() - 2], inputs.back(), first, end).to(torch::kFloat);
    std::vector<at::Tensor> all = torch::autograd::grad({out.square().sum()}, inputs);
    all.push_back(out.detach());
    for (at::Tensor& x : all) x = x.cpu();
    return all;
  };
  const auto expected = gradients(at::kCPU);
  std::vector<at::Tensor> got;
  const Calls made = calls_of([&] { got = gradients(counted_device()); });
  REQUIRE(made.attention.size() == static_cast<size_t>(kernels));
  if (kernels > 0) check_form(made.attention[0], torch::kBFloat16);
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("result " << i);
    CHECK(distance(got[i], expected[i]) < 4e-2);
  }
}

TEST_CASE("gradients of queries, keys and values are joined in one copy") {
  const PlainKernelsGuard plain;  // LibTorch's blockwise operator gives them as those of a GPU do
  const at::Tensor qkv = torch::randn({2, 40, 3 * 3 * 16}).requires_grad_();
  const at::Tensor out = self_attention(qkv, 3);
  const at::Tensor gradient = torch::randn(out.sizes());
  const Calls made = calls_of([&] { torch::autograd::grad({out}, {qkv}, {gradient}); });
  CHECK(made.by_name.at("aten::cat") == 1);
  CHECK(!made.by_name.contains("aten::clone"));
  CHECK(!made.by_name.contains("aten::copy_"));
}
