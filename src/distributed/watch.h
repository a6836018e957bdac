#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "distributed/beats.h"

namespace previt {

/// A time-out for gloo and NCCL that they never reach: the watch has one, which can be changed and
/// names a rank.
constexpr std::chrono::hours kNever(24 * 365);

/// How the ranks of a run know of each other whether they live. A thread of each writes twice a
/// second into their store how many operations its rank has begun and whether it is busy by itself,
/// and looks there for a failure: the first rank that fails, or finds that another is gone or
/// hangs, writes one line, which is the reason for all.
///
/// A rank that knows of a failure but doesn't end within 10 seconds, since it hangs or computes, is
/// ended.
class Watch {
 public:
  /// `store` is for this object alone. `keeper`: the rank whose process has the store, or -1.
  Watch(c10::intrusive_ptr<c10d::Store> store,
        int64_t rank,
        int64_t size,
        int64_t keeper,
        std::chrono::milliseconds timeout,
        bool leader_is_watched);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }
  std::chrono::milliseconds timeout() const { return timeout_; }

  /// Counts an operation that this rank begins; returns its number, from 1.
  int64_t begin() { return ++begun_; }
  void count_busy(int64_t change) { busy_ += change; }
  /// Waits for the end of operation `number`: until done() after a wake(). Throws PeerError.
  void wait_for(int64_t number, const std::function<bool()>& done);
  /// The same for an operation of a device, which wakes nobody: done() is asked again and again, and
  /// this rank looks by itself whether another is gone.
  void wait_for_device(int64_t number, const std::function<bool()>& done);
  /// Waits until done(), which is asked again and again; past the time-out, `otherwise` and for how
  /// long is the failure. Throws PeerError.
  void wait_for_key(const std::function<bool()>& done, const std::string& otherwise);
  void wake();
  /// Throws PeerError if there is a failure.
  void require_well();
  /// An operation broke because of a rank that is gone. Throws PeerError that names it.
  [[noreturn]] void explain(const std::string& what);

  /// Writes a failure, unless another rank was first. `gone`: its rank isn't alive any more.
  void record(const std::string& line, bool gone);
  /// Whether this rank has to tell the user of the failure; the rank ends then.
  bool tells();
  /// Waits until all others have left or beat no more, where the store is here.
  void leave();

 private:
  void run();
  void wait(int64_t number, const std::function<bool()>& done, std::chrono::microseconds pause);
  void learn(const std::string& record);
  void lose_store(const std::string& how = "is gone");
  bool all_late_are_busy(int64_t number);
  void look();
  void end_if_late();
  std::vector<Beat> beats() { return read_beats(*store_, size_); }
  bool others_beat(std::vector<Beat> before);
  void wait_until(std::chrono::milliseconds longest, const std::function<bool()>& done);
  int64_t count(const std::string& key) { return store_->add(key, 0); }

  const c10::intrusive_ptr<c10d::Store> store_;
  const int64_t rank_, size_, keeper_;
  const bool leader_is_watched_;
  std::atomic<std::chrono::milliseconds> timeout_;
  std::atomic<int64_t> begun_ = 0, busy_ = 0;
  std::atomic<bool> waits_for_device_ = false;
  std::atomic<bool> heard_ = false;  // that this rank knows of the failure stands in the store
  Silences silences_;                // while that is so

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string failure_;  // "" for none
  std::chrono::steady_clock::time_point failed_at_;
  bool gone_ = false;  // the rank at fault can't hear of it
  std::chrono::steady_clock::time_point looked_at_ = std::chrono::steady_clock::now();
  bool store_lost_ = false;
  bool lost_first_ = false;  // that is the failure
  bool stop_ = false;
  int64_t ticks_ = 0;
  std::thread thread_;  // last: it uses the others
};

}  // namespace previt
