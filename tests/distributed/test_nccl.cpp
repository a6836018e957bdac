// On a GPU (PREVIT_TEST_DEVICE=cuda), of a build that has NCCL.
#include <ATen/ops/full.h>

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "distributed/device_engine.h"
#include "support/catch.h"
#include "support/pretrain_command.h"
#include "support/previt_program.h"
#include "support/temp_folder.h"
#include "support/test_device.h"

using namespace previt;
using namespace previt::test;

namespace {

bool nccl_is_there() { return test_device().is_cuda() && device_engine() != nullptr; }

}  // namespace

TEST_CASE("NCCL works among one process", "[distributed]") {
  if (!nccl_is_there()) return;
  const at::Device device = test_device();
  CHECK(device_engine()->identity(device).starts_with("GPU-"));
  const auto nccl = device_engine()->open(c10::make_intrusive<c10d::HashStore>(), 0, 1);
  for (const auto type : {at::kFloat, at::kDouble, at::kInt, at::kLong, at::kByte}) {
    std::vector<at::Tensor> sum = {at::full({3}, 2, at::TensorOptions(type).device(device))};
    const auto work = nccl->allreduce(sum);
    while (!work->isCompleted()) continue;
    work->wait();
    CHECK(sum[0].eq(2).all().item<bool>());
  }
  std::vector<at::Tensor> own = {at::full({4}, 7, at::TensorOptions(at::kByte).device(device))};
  nccl->broadcast(own)->wait();
  std::vector<std::vector<at::Tensor>> all = {{at::zeros_like(own[0])}};
  nccl->allgather(all, own)->wait();
  CHECK(all[0][0].eq(7).all().item<bool>());
}

TEST_CASE("two processes on one GPU are refused in a line", "[distributed][programs]") {
  if (!nccl_is_there()) return;
  const TempFolder folder;
  Words words =
      kTinyMae + Words{"--data", kScenes, "--out", folder.path() + "/run", "--nproc", "2"};
  for (auto& word : words) word = word == "cpu" ? test_device().str() : word;
  const Outcome outcome = run_program(program("pretrain"), words);
  CHECK(outcome.code == 2);
  REQUIRE(outcome.error_lines().size() == 1);
  CHECK_THAT(outcome.errors, ContainsSubstring("--device: ranks 0 and 1 have the same GPU, GPU-"));
}
