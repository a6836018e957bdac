#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "error.h"

namespace previt {

/// Another rank is the reason why this one can't go on. The message names it: "rank 2 of 4: ...".
class PeerError : public Error {
 public:
  using Error::Error;
};

/// A collective operation under way (Communicator::start_sum).
class Pending {
 public:
  virtual ~Pending() = default;
  virtual void wait() = 0;  ///< until the tensor holds its result
};

/// How the processes of a run work together. Each has a rank, 0 to size - 1; rank 0 leads: it alone
/// writes the run folder and speaks. A process that is alone is a run of one, and every operation
/// then leaves its tensor as it is.
///
/// Every operation is collective: all ranks call the same ones in the same order, with tensors of
/// one shape and type (gather: of one shape but for the first dimension). All get the same bits.
/// They throw PeerError, naming the rank at fault where it is known, when another rank failed, is
/// gone, or has not come within train.timeout and isn't Busy.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int64_t rank() const { return 0; }
  virtual int64_t size() const { return 1; }
  bool alone() const { return size() == 1; }
  bool leads() const { return rank() == 0; }

  /// Adds up a contiguous tensor over all ranks, in place.
  void sum(const at::Tensor& tensor) { start_sum(tensor)->wait(); }
  /// The same while this process goes on; the tensor must not be touched until wait() has returned.
  virtual std::unique_ptr<Pending> start_sum(const at::Tensor& tensor);
  /// The largest of all ranks by element, in place.
  virtual void max(const at::Tensor&) {}
  /// What all ranks have, one after the other along the first dimension, whose size may differ.
  virtual at::Tensor gather(const at::Tensor& tensor) { return tensor; }
  /// Gives all ranks the tensor of one of them, in place.
  virtual void broadcast(const at::Tensor&, int64_t /*from*/ = 0) {}
  /// Gives all ranks the text of rank 0, of any length.
  virtual std::string broadcast(const std::string& text) { return text; }
  /// Returns when all ranks have come here.
  virtual void barrier() {}
  /// How long an operation waits for a rank that doesn't come; 60 s until this is called.
  virtual void set_timeout(double /*seconds*/) {}
  /// Adds to how many Busy objects this rank has.
  virtual void count_busy(int64_t /*change*/) {}
  /// The device that this rank computes on, once, before there are tensors on it; collective. Where
  /// each rank has a GPU of its own, their tensors then go from one to the other. Throws UsageError
  /// where two ranks have the same.
  virtual void use_device(at::Device) {}
};

/// That of this process. A process is one rank from start to end, so it is not passed around, as a
/// random generator's default isn't: what adds up over images asks for it where it adds.
Communicator& world();

/// Makes `communicator` this process's world() while it lives; a program does so once, at its start.
class JoinedWorld {
 public:
  explicit JoinedWorld(std::unique_ptr<Communicator> communicator);
  ~JoinedWorld();
  JoinedWorld(const JoinedWorld&) = delete;
  JoinedWorld& operator=(const JoinedWorld&) = delete;
};

/// While it lives, this rank works by itself, perhaps for longer than the time-out, and the others
/// wait for it as long as its process runs.
class Busy {
 public:
  Busy() : ranks_(world()) { ranks_.count_busy(1); }
  ~Busy() { ranks_.count_busy(-1); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  Communicator& ranks_;
};

/// While it lives, world() is a run of one: what a rank tries out by itself. Not for threads.
class OnItsOwn {
 public:
  OnItsOwn();
  ~OnItsOwn();
  OnItsOwn(const OnItsOwn&) = delete;
  OnItsOwn& operator=(const OnItsOwn&) = delete;

 private:
  std::unique_ptr<Communicator> others_;
};

}  // namespace previt
