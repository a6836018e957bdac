#include "pretrain/train/micro_batch_choice.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <new>
#include <string>

#include "error.h"
#include "log.h"

namespace previt {
namespace {

// cuBLAS and cuDNN tell of it by a name in the text.
bool tells_of_memory(const std::string& text) {
  return text.find("_STATUS_ALLOC_FAILED") != std::string::npos ||
         text.find("out of memory") != std::string::npos;
}

bool fits_in_memory(const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const c10::OutOfMemoryError&) {
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  } catch (const c10::Error& error) {
    if (!tells_of_memory(error.what_without_backtrace())) throw;
    return false;
  }
}

}  // namespace

void halve(TrainOptions& train, int64_t too_many) {
  train.micro_batch = std::min(train.micro(), too_many / 2);
  train.micro_batch = train.micro();  // what divides the batch
}

void halve_until_it_fits(TrainOptions& train, const std::function<void()>& work) {
  int64_t too_many = 0;
  const auto work_or_refuse = [&] {
    try {
      work();
    } catch (const UsageError& error) {
      if (too_many == 0) throw;
      fail("train.micro_batch: auto: {} images at a time don't fit in memory, and {}",
           too_many,
           error.what());
    }
  };
  while (!fits_in_memory(work_or_refuse)) {
    too_many = train.micro();
    require(too_many > 1,
            "train.micro_batch: auto: not even one image fits in memory; a smaller model or image "
            "size needs less");
    halve(train, too_many);
    warn("train.micro_batch: {}, as {} images at a time don't fit in memory",
         train.micro_batch,
         too_many);
  }
}

void require_that_it_fits(TrainOptions train,
                          const std::function<void()>& work,
                          const std::function<bool(int64_t images)>& begin_anew) {
  if (fits_in_memory(work)) return;
  const int64_t too_many = train.micro();
  require(too_many > 1,
          "train.micro_batch: not even one image fits in memory; a smaller model or image size "
          "needs less");
  halve(train, too_many);
  if (begin_anew(too_many)) {
    fail(
        "train.micro_batch: {}, as {} images at a time don't fit in memory; all processes begin "
        "anew",
        train.micro_batch,
        too_many);
  }
  fail(
      "train.micro_batch: {} images at a time don't fit in memory; go on with --resume --set "
      "train.micro_batch={}, or a smaller model where the method needs the whole batch at once",
      too_many,
      train.micro_batch);
}

int64_t micro_batch_within(TrainOptions train, double fixed, double per_image, double bytes) {
  train.micro_batch = train.batch;
  while (train.micro_batch > 1 &&
         fixed + per_image * static_cast<double>(train.micro_batch) > bytes) {
    halve(train, train.micro_batch);
  }
  return train.micro_batch;
}

}  // namespace previt
