#include "cli/own_batches.h"

#include "failure.h"

namespace previt::cli {

OwnBatches::OwnBatches(
    const std::shared_ptr<Dataset>& dataset,
    int64_t batch,
    const std::function<std::unique_ptr<BatchSource>(std::shared_ptr<Dataset>)>& make,
    Communicator& all)
    : all_(all) {
  const int64_t batches = (dataset->size() + batch - 1) / batch;
  meetings_ = (batches + all.size() - 1) / all.size();
  if (auto part = own_part(dataset, batch, all)) source_ = make(std::move(part));
}

void OwnBatches::meet() {
  if (met_ == meetings_) return;
  ++met_;
  all_.barrier();
}

Batch OwnBatches::next() {
  meet();
  return source_->next();
}

void OwnBatches::go_through(const std::function<void(BatchSource& own)>& work) {
  // A rank with fewer batches than the others, or that fails, meets them as often as they do.
  const auto meet_the_rest = [&] {
    while (met_ < meetings_) meet();
  };
  met_ = 0;
  do_on_all_ranks(
      [&] {
        try {
          if (source_) work(*this);
        } catch (...) {
          meet_the_rest();
          throw;
        }
        meet_the_rest();
      },
      all_);
}

}  // namespace previt::cli
