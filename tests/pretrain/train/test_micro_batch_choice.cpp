#include <c10/util/Exception.h>

#include <new>
#include <vector>

#include "error.h"
#include "pretrain/train/micro_batch_choice.h"
#include "support/catch.h"

using namespace previt;

namespace {

[[noreturn]] void run_out(int64_t kind) {
  if (kind == 0) throw std::bad_alloc();
  TORCH_CHECK_WITH(OutOfMemoryError, kind != 1, "CUDA out of memory. Tried to allocate 2 GiB");
  TORCH_CHECK(false, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate");
}

TrainOptions batch_of(int64_t images) {
  TrainOptions train;
  train.batch = train.micro_batch = images;
  return train;
}

}  // namespace

TEST_CASE("the micro-batch is halved until memory holds it") {
  for (const int64_t kind : {0, 1, 2}) {
    TrainOptions train = batch_of(48);
    std::vector<int64_t> tried;
    halve_until_it_fits(train, [&] {
      tried.push_back(train.micro());
      if (train.micro() > 6) run_out(kind);
    });
    CHECK(tried == std::vector<int64_t>{48, 24, 12, 6});
    CHECK(train.micro_batch == 6);
  }
  TrainOptions odd = batch_of(30);  // 15, then 6 as the largest up to 7, then 3
  halve_until_it_fits(odd, [&] {
    if (odd.micro() > 5) run_out(1);
    CHECK(odd.batch % odd.micro_batch == 0);
  });
  CHECK(odd.micro_batch == 3);
}

TEST_CASE("where nothing fits, or the half is refused, that is said") {
  TrainOptions train = batch_of(8);
  CHECK_THROWS_WITH(halve_until_it_fits(train, [] { run_out(0); }),
                    ContainsSubstring("train.micro_batch: auto: not even one image fits"));

  TrainOptions whole = batch_of(8);
  CHECK_THROWS_WITH(
      halve_until_it_fits(whole,
                          [&] {
                            if (whole.micro() == 8) run_out(1);
                            fail_usage("dino.centering: needs the whole batch at once");
                          }),
      "train.micro_batch: auto: 8 images at a time don't fit in memory, and dino.centering: needs "
      "the whole batch at once");
}

TEST_CASE("one of several processes says which micro-batch to set") {
  int64_t calls = 0, told = 0;
  bool begins = false;
  const auto begin_anew = [&](int64_t images) {
    told = images;
    return begins;
  };
  require_that_it_fits(batch_of(8), [&] { ++calls; }, begin_anew);
  CHECK(calls == 1);
  CHECK(told == 0);
  for (const int64_t kind : {0, 1, 2}) {
    CHECK_THROWS_WITH(require_that_it_fits(
                          batch_of(30), [&] { run_out(kind); }, begin_anew),
                      "train.micro_batch: 30 images at a time don't fit in memory; go on with "
                      "--resume --set train.micro_batch=15, or a smaller model where the method "
                      "needs the whole batch at once");
  }
  CHECK_THROWS_WITH(require_that_it_fits(
                        batch_of(1), [] { run_out(0); }, begin_anew),
                    ContainsSubstring("not even one image fits"));
  CHECK(told == 30);  // not of one image, which can't be halved
  CHECK_THROWS_WITH(
      require_that_it_fits(batch_of(8), [] { fail("data: gone"); }, begin_anew), "data: gone");
  CHECK(told == 30);
  begins = true;
  CHECK_THROWS_WITH(require_that_it_fits(
                        batch_of(30), [] { run_out(1); }, begin_anew),
                    "train.micro_batch: 15, as 30 images at a time don't fit in memory; all "
                    "processes begin anew");
}

TEST_CASE("a micro-batch of half of what didn't fit, or less") {
  TrainOptions train = batch_of(30);
  halve(train, 10);
  CHECK(train.micro_batch == 5);
  halve(train, 16);
  CHECK(train.micro_batch == 5);
  halve(train, 9);  // at most 4, which doesn't divide 30
  CHECK(train.micro_batch == 3);
}

TEST_CASE("other failures are not about memory") {
  TrainOptions train = batch_of(8);
  int64_t calls = 0;
  const auto failing = [&](auto failure) {
    calls = 0;
    return [&calls, failure] {
      ++calls;
      failure();
    };
  };
  CHECK_THROWS_AS(halve_until_it_fits(train, failing([] { fail("data: gone"); })), Error);
  CHECK(calls == 1);
  CHECK_THROWS_WITH(halve_until_it_fits(train, failing([] { fail_usage("model: wrong"); })),
                    "model: wrong");
  CHECK(calls == 1);
  CHECK_THROWS_AS(halve_until_it_fits(train, failing([] { TORCH_CHECK(false, "shapes differ"); })),
                  c10::Error);
  CHECK(calls == 1);
  CHECK(train.micro_batch == 8);
}

TEST_CASE("main memory is estimated from what an image takes") {
  const TrainOptions train = batch_of(64);
  CHECK(micro_batch_within(train, 100, 10, 740) == 64);
  CHECK(micro_batch_within(train, 100, 10, 739) == 32);
  CHECK(micro_batch_within(train, 100, 10, 180) == 8);
  CHECK(micro_batch_within(train, 100, 10, 50) == 1);
  CHECK(micro_batch_within(train, 0, 0, 1) == 64);
}
