#include <cmath>

#include "error.h"
#include "finetune/probes/knn.h"
#include "models/layers/unit_length.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

using namespace previt;

namespace {

// What is found by sorting everything.
at::Tensor by_sorting(const at::Tensor& train, const at::Tensor& queries, int64_t k) {
  const at::Tensor similar = torch::mm(queries.to(torch::kFloat64), train.to(torch::kFloat64).t());
  return std::get<1>(similar.sort(/*stable=*/true, 1, /*descending=*/true)).slice(1, 0, k);
}

}  // namespace

TEST_CASE("nearest neighbours across all blocks are those that sorting finds") {
  torch::manual_seed(0);
  const at::Tensor train = unit_length(torch::randn({5000, 24}));
  const at::Tensor queries = unit_length(torch::randn({700, 24}));
  const Neighbours found = nearest(train, queries, 30);
  // Rounding may swap two neighbours that are as good as equally near.
  CHECK((found.ids == by_sorting(train, queries, 30)).to(torch::kFloat).mean().item<double>() >
        0.9995);
  const at::Tensor similar = torch::mm(queries, train.t());
  CHECK(torch::allclose(found.similarities, std::get<0>(similar.topk(30, 1)), 0, 1e-6));
}

TEST_CASE("the search for other devices finds the same, in blocks of queries and of rows") {
  torch::manual_seed(3);
  const at::Tensor train = unit_length(torch::randn({70000, 6}));
  const at::Tensor queries = train.slice(0, 64900, 66100);  // across the first block's end
  const int64_t excluded = GENERATE(-1, 64900);
  const Neighbours own = nearest(train, queries, 7, excluded);
  const Neighbours other = nearest_by_blocks(train, queries, 7, excluded);
  CHECK(torch::allclose(own.similarities, other.similarities, 0, 1e-6));
  CHECK((own.ids == other.ids).to(torch::kFloat).mean().item<double>() > 0.999);
}

TEST_CASE("equal similarities come in the order of the rows") {
  const at::Tensor train = torch::ones({3000, 2});
  const Neighbours found = nearest(train, torch::ones({2, 2}), 5);
  CHECK(torch::equal(found.ids[1], torch::arange(5)));
}

TEST_CASE("leave-one-out never finds the query itself") {
  torch::manual_seed(1);
  const at::Tensor train = unit_length(torch::randn({2600, 8}));
  const Neighbours found = nearest(train, train.slice(0, 100, 1300), 3, 100);
  const at::Tensor own = torch::arange(100, 1300).unsqueeze(1);
  CHECK_FALSE((found.ids == own).any().item<bool>());
  const Neighbours with = nearest(train, train.slice(0, 100, 1300), 4);
  CHECK(torch::equal(with.ids.slice(1, 0, 1), own));
  CHECK(torch::equal(with.ids.slice(1, 1, 4), found.ids));
}

TEST_CASE("votes are weighted by similarity and temperature") {
  const Neighbours found{.similarities = torch::tensor({{0.9f, 0.8f, 0.7f}}),
                         .ids = torch::tensor({{2, 0, 1}})};
  const at::Tensor labels = torch::tensor({1, 1, 0});
  const at::Tensor votes = knn_votes(found, labels, 3, 0.1, 3);
  CHECK(votes[0][0].item<double>() == Approx(1));
  CHECK(votes[0][1].item<double>() == Approx(std::exp(-1) + std::exp(-2)));
  CHECK(votes[0][2].item<double>() == 0);
  CHECK(knn_votes(found, labels, 3, 1e-4, 3).isfinite().all().item<bool>());
  // Warm enough, the two neighbours outvote the nearest one.
  CHECK(knn_votes(found, labels, 3, 10, 3).argmax(1).item<int64_t>() == 1);
}

TEST_CASE("kNN classifies clusters, for several k and temperatures at once") {
  torch::manual_seed(2);
  const at::Tensor centres = torch::eye(4, 16) * 3;
  const auto draw = [&](int64_t count) {
    const at::Tensor labels = torch::arange(count) % 4;
    return LabelledFeatures{centres.index_select(0, labels) + torch::randn({count, 16}) * 0.5,
                            labels};
  };
  const LabelledFeatures train = draw(60), test = draw(40);
  const KnnOptions options{.ks = {1, 5, 500}, .temperatures = {0.07, 1}};
  const auto scores = knn_classify(train, &test, options);
  REQUIRE(scores.size() == 6);
  CHECK(scores[0].top1 > 95);
  CHECK(scores[0].top5 == scores[0].top1);  // one neighbour, one answer
  CHECK(scores[2].top5 >= scores[2].top1);
  CHECK(scores[4].k == 60);
  CHECK(knn_classify(train, nullptr, options)[4].k == 59);
  CHECK(knn_classify(train, nullptr, options)[0].top1 > 90);
}

TEST_CASE("ranks that share the queries get the scores of one process, to the bit") {
  torch::manual_seed(4);
  const auto draw = [&](int64_t count) {
    const at::Tensor labels = torch::arange(count) % 5;
    return LabelledFeatures{torch::eye(5, 8).index_select(0, labels) + torch::randn({count, 8}),
                            labels};
  };
  const LabelledFeatures train = draw(700), others = draw(300);
  const KnnOptions options{.ks = {1, 20}};
  const int64_t size = GENERATE(2, 3);  // one of three ranks has no query: 300 are two blocks
  for (const LabelledFeatures* queries : {&others, static_cast<const LabelledFeatures*>(nullptr)}) {
    const auto alone = knn_classify(train, queries, options);
    std::vector<std::vector<KnnScore>> got(static_cast<size_t>(size));
    test::ThreadRanks(size).run([&](Communicator& all) {
      got[static_cast<size_t>(all.rank())] = knn_classify(train, queries, options, {}, all);
    });
    for (const auto& scores : got) {
      REQUIRE(scores.size() == alone.size());
      for (size_t i = 0; i < alone.size(); ++i) {
        CHECK(scores[i].top1 == alone[i].top1);
        CHECK(scores[i].top5 == alone[i].top5);
      }
    }
  }
}

TEST_CASE("a search that fails on one rank fails on all") {
  const LabelledFeatures train{torch::rand({300, 4}), torch::zeros({300}, torch::kLong)};
  std::vector<std::string> reasons(2);
  test::ThreadRanks(2).run([&](Communicator& all) {
    const auto fail_second = [&](int64_t) {
      if (!all.leads()) fail("out of memory");
    };
    try {
      knn_classify(train, nullptr, {.ks = {1}}, fail_second, all);
    } catch (const Error& error) {
      reasons[static_cast<size_t>(all.rank())] = error.what();
    }
  });
  for (const std::string& reason : reasons) CHECK(reason == "out of memory");
}

TEST_CASE("kNN refuses what it can't compare") {
  const at::Tensor three = torch::ones({3, 2});
  CHECK_THROWS_WITH(nearest(three, three, 4), "kNN: 4 of 3 neighbours asked for");
  CHECK_THROWS_WITH(nearest(three, three, 3, 0), "kNN: 3 of 2 neighbours asked for");
  CHECK_THROWS_AS(nearest(three, torch::ones({3, 4}), 1), Error);
  const LabelledFeatures broken{three * NAN, torch::zeros({3}, torch::kLong)};
  CHECK_THROWS_WITH(knn_classify(broken, nullptr, {}),
                    "kNN: a training feature is not a finite number");
  const LabelledFeatures unlabelled{three, torch::full({3}, -1)};
  CHECK_THROWS_WITH(knn_classify(unlabelled, nullptr, {}), "kNN: a training image has no label");
}
