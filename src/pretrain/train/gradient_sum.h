#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "communicator.h"

namespace previt {

/// What a run's processes sent each other.
struct Traffic {
  int64_t bytes = 0;   ///< of gradients, by this rank
  double seconds = 0;  ///< from the first bucket of a step until the last one is there
  double exposed = 0;  ///< of these, those in which this rank could only wait
};

/// Adds up the gradients of an optimizer step over all ranks, while the backward pass that makes
/// them goes on. They travel in buckets of about 25 MB, the last parameters first, as their
/// gradients come first; a bucket goes as soon as it is whole and those before it have gone.
/// A gradient is copied once, into its bucket, where it stays until it is removed: on the CPU when
/// autograd first has it, on a device when the bucket goes. Other micro-steps add to it there.
///
/// A parameter without a gradient on every rank stays without; otherwise zeros stand in for it.
/// Which ones to wait for is learned from the backward pass before. Where that was wrong, what came
/// late is summed by itself and added, so that the sums are right in any case.
class GradientSum {
 public:
  static constexpr int64_t kBucketBytes = 25 << 20;

  /// The parameters as they are registered. All ranks must have the same.
  explicit GradientSum(std::vector<at::Tensor> parameters, int64_t bucket_bytes = kBucketBytes);
  ~GradientSum();
  GradientSum(const GradientSum&) = delete;
  GradientSum& operator=(const GradientSum&) = delete;

  /// Comes before each backward pass. `last`: the step's gradients are whole after it.
  void begin_backward(bool last);

  /// Comes after the last backward pass: all gradients are summed, and with them `numbers`, float64
  /// [n] on the CPU.
  void finish(const at::Tensor& numbers);

  /// Since the start.
  const Traffic& traffic() const { return traffic_; }

 private:
  using Clock = std::chrono::steady_clock;
  class Arrival;
  struct Parameter {
    at::Tensor tensor, sum;  // `sum`: its part of a bucket
    size_t bucket = 0;
    int64_t arrivals = 0;   // of its gradient, in this backward pass
    int64_t expected = -1;  // as many as in the pass before; -1: not known
    bool sent = false;      // its bucket went with a gradient of it
  };
  struct Bucket {
    at::Tensor flat;
    size_t first = 0, last = 0;  // parameters
    int64_t missing = 0;         // those whose gradient isn't whole yet
    bool sent = false;           // in this backward pass
    std::unique_ptr<Pending> pending = nullptr;
  };

  void make_buckets(int64_t bucket_bytes);
  void arrived(size_t parameter);
  void send_whole();
  void put_into_bucket(size_t first, size_t last);  // the gradients of these parameters
  void send(Bucket& bucket);
  void add_late(Bucket& bucket);
  void wait_for_all();
  at::Tensor flags() const;
  void take_over(const at::Tensor& flags);

  Communicator& ranks_;
  std::vector<Parameter> parameters_;  // the last registered first
  std::vector<Bucket> buckets_;
  size_t next_ = 0;  // bucket to send
  bool sending_ = false;
  Clock::time_point first_sent_;
  Traffic traffic_;
};

}  // namespace previt
