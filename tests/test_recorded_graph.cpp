#include <torch/types.h>

#include "support/catch.h"
#include "support/counted_device.h"
#include "support/recorded_graph.h"

using namespace previt;
using namespace previt::test;

TEST_CASE("the graph that stands for CUDA's throws where memory is gone") {
  if (!counted_device_has_gradients()) return;
  at::Tensor kept = torch::ones({3}, counted_device());
  at::Tensor result;
  const auto graph = recorded_graphs()(counted_device());
  graph->record([&] { result = kept * 2; });
  CHECK(result.isnan().all().item<bool>());
  kept.fill_(4);
  graph->replay();
  CHECK(result.eq(8).all().item<bool>());
  kept = torch::ones({3}, counted_device());
  CHECK_THROWS_WITH(graph->replay(), "a graph uses memory that is freed");
}
