#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <deque>
#include <exception>
#include <functional>
#include <optional>
#include <vector>

#include "batch.h"

namespace previt {

/// The batches of a source on a device: while one is used, the next two are on their way there, by
/// a stream of their own, with what is drawn for them (Batch::drawn). On the CPU, the source's
/// batches as they are, none of them ahead. What the source throws comes with the batch that it is
/// about.
class UploadedBatches final : public BatchSource {
 public:
  /// What a step needs for a batch of the host besides it: tensors there.
  using Draw = std::function<std::vector<at::Tensor>(const Batch&)>;

  /// `source` must live as long as this.
  UploadedBatches(BatchSource& source, at::Device device, Draw draw = {});

  EpochPlan epoch_plan() const override { return source_.epoch_plan(); }
  void seek(int64_t epoch, int64_t batch) override;
  Batch next() override;
  std::vector<std::string> class_names() const override { return source_.class_names(); }
  int64_t bad_samples() const override { return bad_samples_; }

 private:
  struct Ahead {
    Batch batch;
    std::optional<c10::Event> there;
    int64_t bad_samples = 0;
    std::exception_ptr error;
  };
  Ahead fetch();
  void start_upload(Ahead& ahead);
  void hand_over(const Ahead& ahead) const;

  BatchSource& source_;
  const at::Device device_;
  const Draw draw_;
  std::optional<c10::Stream> stream_;  // none on the CPU
  std::deque<Ahead> ahead_;
  int64_t bad_samples_ = 0;  // up to the last batch that was given
};

}  // namespace previt
