#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "cli/own_batches.h"
#include "error.h"
#include "support/catch.h"
#include "support/thread_ranks.h"

using namespace previt;

namespace {

std::unique_ptr<BatchSource> in_order(std::shared_ptr<Dataset> images) {
  return make_loader(std::move(images),
                     {evaluation_view(8, 8, 1)},
                     {.batch = 4, .shuffle = false, .drop_last = false, .workers = 1});
}

}  // namespace

TEST_CASE("the ranks' batches are those of one process, and a failure is all ranks' failure") {
  const auto images = open_dataset("synthetic:shapes,size=16,count=18,val=2", Split::train);
  const auto whole = in_order(images);
  std::vector<at::Tensor> wanted;
  for (int64_t i = 0; i < whole->batches_per_epoch(); ++i) {
    wanted.push_back(whole->next().views.front());
  }
  const int64_t size = GENERATE(2, 3, 7);  // with 5 batches: unequal parts, and none for some
  std::vector<std::vector<at::Tensor>> got(static_cast<size_t>(size));
  std::vector<std::string> failures(static_cast<size_t>(size));
  test::ThreadRanks(size).run([&](Communicator& all) {
    const auto rank = static_cast<size_t>(all.rank());
    cli::OwnBatches batches(images, 4, in_order, all);
    for (int pass = 0; pass < 2; ++pass) {
      got[rank].clear();
      batches.go_through([&](BatchSource& own) {
        own.seek(0, 0);
        for (int64_t i = 0; i < own.batches_per_epoch(); ++i) {
          got[rank].push_back(own.next().views.front());
        }
      });
    }
    try {
      batches.go_through([&](BatchSource& own) {
        own.seek(0, 0);
        own.next();
        if (all.leads()) fail("broken");  // which has a batch in any case
      });
    } catch (const Error& error) {
      failures[rank] = error.what();
    }
  });
  std::vector<at::Tensor> all;
  for (const auto& own : got) all.insert(all.end(), own.begin(), own.end());
  REQUIRE(all.size() == wanted.size());
  for (size_t i = 0; i < all.size(); ++i) CHECK(torch::equal(all[i], wanted[i]));
  for (const std::string& failure : failures) CHECK(failure == "broken");
}
