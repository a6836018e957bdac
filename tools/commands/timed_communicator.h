#pragma once

#include <utility>
#include <vector>

#include "communicator.h"

namespace previt::cli {

/// Passes everything on to another communicator, and counts for how long this process waits for the
/// others: communication that is not hidden behind computation, and ranks that are late.
class TimedCommunicator final : public Communicator {
 public:
  /// `inner` must live as long as this.
  explicit TimedCommunicator(Communicator& inner) : inner_(inner) {}

  int64_t rank() const override { return inner_.rank(); }
  int64_t size() const override { return inner_.size(); }
  std::unique_ptr<Pending> start_sum(const at::Tensor& tensor) override;
  void max(const at::Tensor& tensor) override;
  at::Tensor gather(const at::Tensor& tensor) override;
  void broadcast(const at::Tensor& tensor, int64_t from) override;
  std::string broadcast(const std::string& text) override;
  void barrier() override;

  /// Forgets what was counted.
  void restart();
  /// Seconds that the process waited.
  double waited() const { return waited_; }
  /// Seconds that the sums since restart() take when nothing else is done; collective.
  double seconds_of_sums_alone();

 private:
  friend class TimedSum;
  Communicator& inner_;
  double waited_ = 0;
  std::vector<std::pair<int64_t, at::TensorOptions>> sums_;
};

}  // namespace previt::cli
