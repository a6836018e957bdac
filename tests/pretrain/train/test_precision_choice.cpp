#include "models/kernels/matmul_ways.h"
#include "pretrain/train/precision_choice.h"
#include "pretrain/train/resume_check.h"
#include "support/catch.h"
#include "support/level_guard.h"

using namespace previt;

namespace {

VitOptions model_of_width(int64_t width) {
  VitOptions model;
  model.embed_dim = width;
  return model;
}

}  // namespace

TEST_CASE("a precision that is asked for is given, and a GPU gets bf16") {
  const VitOptions model = model_of_width(768);
  for (const Precision asked : {Precision::bf16, Precision::fp32}) {
    CHECK(decided_precision(asked, model, 5, at::kCPU) == asked);
    CHECK(decided_precision(asked, model, 5, at::kCUDA) == asked);
  }
  CHECK(decided_precision(Precision::automatic, model, 5, at::kCUDA) == Precision::bf16);
}

TEST_CASE("a model too small to measure gets fp32, and so does a processor without bfloat16") {
  CHECK(decided_precision(Precision::automatic, model_of_width(32), 1, at::kCPU) ==
        Precision::fp32);
  const LevelGuard guard(CpuLevel::kAvx2);
  CHECK(decided_precision(Precision::automatic, model_of_width(256), 2, at::kCPU) ==
        Precision::fp32);
}

TEST_CASE("a run that goes on keeps its ways of computing matmuls") {
  const auto kept = [](const nlohmann::json& meta, bool measures = true) {
    matmul_ways().choose({});
    matmul_ways().measure(measures);
    keep_matmul_ways(meta);
    return matmul_ways().chosen();
  };
  const nlohmann::json meta = {{"matmuls", {{"a*bT Float 1x2x3 threads=2", "onednn"}}}};
  CHECK(kept(meta) == std::map<std::string, std::string>{{"a*bT Float 1x2x3 threads=2", "onednn"}});
  CHECK(kept(meta, /*measures=*/false).empty());  // train.matmul: fixed from here on
  CHECK(kept(nlohmann::json::object()).empty());
  CHECK_THROWS_WITH(kept({{"matmuls", 3}}), "its matmuls are no list");
  CHECK_THROWS_WITH(kept({{"matmuls", {{"a", 3}}}}), "the way of its matmul a is no text");
  matmul_ways().choose({});
  matmul_ways().measure(false);
}
