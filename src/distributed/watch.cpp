#include "distributed/watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "distributed/process_group.h"

namespace previt {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kBeat(500);
constexpr milliseconds kHearing(8000);  // in which a living rank hears of a failure
constexpr milliseconds kEnding(10000);  // in which it ends by itself
constexpr milliseconds kSilence(3000);  // of a store that is stopped or cut off
constexpr int kSilentBeats = 4;         // of a rank that is gone, when a connection broke
constexpr int kGoneBeats = 10;          // where connections don't tell
constexpr std::chrono::microseconds kDevicePause(100);
constexpr int64_t kLookers = 2;  // ranks that look for others: the store couldn't bear all of many
constexpr const char* kFailure = "failure";
constexpr const char* kHeard = "heard";    // how many ranks know of the failure
constexpr const char* kTold = "told";      // by rank 0
constexpr const char* kTeller = "teller";  // the first to come here speaks for a silent rank 0
constexpr const char* kLeft = "left";      // how many ranks have left

std::string named(const std::vector<int64_t>& ranks, int64_t size) {
  if (ranks.size() == 1) return fmt::format("rank {} of {} has", ranks[0], size);
  const size_t shown = std::min<size_t>(ranks.size(), 8);
  const std::vector<int64_t> first(ranks.begin(), ranks.begin() + static_cast<int64_t>(shown));
  return fmt::format("ranks {}{} of {} have",
                     fmt::join(first, ", "),
                     shown < ranks.size() ? " and more" : "",
                     size);
}

std::string in_seconds(milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
}

}  // namespace

Watch::Watch(c10::intrusive_ptr<c10d::Store> store,
             int64_t rank,
             int64_t size,
             int64_t keeper,
             milliseconds timeout,
             bool leader_is_watched)
    : store_(std::move(store)),
      rank_(rank),
      size_(size),
      keeper_(keeper),
      leader_is_watched_(leader_is_watched),
      timeout_(timeout) {
  write_beat(*store_, rank_, {});
  thread_ = std::thread([this] { run(); });
}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake();
  thread_.join();
}

void Watch::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const bool lost = store_lost_;
    lock.unlock();
    try {
      if (!lost) look();
    } catch (const std::exception&) {
      lose_store();
    }
    end_if_late();
    lock.lock();
    changed_.wait_for(lock, kBeat, [&] { return stop_; });
  }
}

void Watch::look() {
  write_beat(*store_, rank_, {.ticks = ++ticks_, .begun = begun_, .busy = busy_});
  if (store_->check({kFailure})) learn(store_->get_to_str(kFailure));
  if (!waits_for_device_ || rank_ >= kLookers) {
    silences_.forget();
  } else if (const auto silent = silences_.next(beats(), kGoneBeats)) {
    // Over NCCL, nothing tells of a process that ended on the same machine.
    record(fmt::format("rank {} of {} is gone", *silent, size_), true);
  }
  const std::lock_guard lock(mutex_);
  looked_at_ = Clock::now();
}

// `record`: "gone" or "here", a space, and the line.
void Watch::learn(const std::string& record) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) return;
    gone_ = record.starts_with("gone");
    failure_ = record.substr(5);
    failed_at_ = Clock::now();
  }
  wake();
  if (rank_ == 0) store_->set(kTold, std::string("1"));
  store_->add(kHeard, 1);
  heard_ = true;
}

void Watch::lose_store(const std::string& how) {
  const std::lock_guard lock(mutex_);
  store_lost_ = heard_ = true;
  if (failure_.empty()) {
    lost_first_ = true;
    failure_ = keeper_ >= 0 ? fmt::format("rank {} of {} {}", keeper_, size_, how)
                            : fmt::format("torchrun's agent {}", how);
    failed_at_ = Clock::now();
    gone_ = true;
  }
  changed_.notify_all();
}

void Watch::end_if_late() {
  {
    const std::lock_guard lock(mutex_);
    if (failure_.empty() || Clock::now() - failed_at_ < kEnding) return;
  }
  if (rank_ == 0) std::fputs((failure_ + "\n").c_str(), stderr);
  std::_Exit(1);
}

void Watch::wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Watch::require_well() {
  const std::lock_guard lock(mutex_);
  if (!failure_.empty()) throw PeerError(failure_);
}

void Watch::wait_until(milliseconds longest, const std::function<bool()>& done) {
  const auto end = Clock::now() + longest;
  milliseconds pause(10);  // grows, so that a thousand ranks don't keep the store busy
  while (!done() && Clock::now() < end) {
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 3 / 2, kBeat);
  }
}

// Whether ranks haven't begun operation `number` only since they are busy, and beat. Else the
// failure is on record.
bool Watch::all_late_are_busy(int64_t number) {
  try {
    const auto before = beats();
    const bool one_is_busy = std::any_of(before.begin(), before.end(), [&](const Beat& beat) {
      return beat.begun < number && beat.busy > 0;
    });
    if (one_is_busy) std::this_thread::sleep_for(kSilence);
    const auto now = one_is_busy ? beats() : before;
    std::vector<int64_t> late;
    for (int64_t rank = 0; rank < size_; ++rank) {
      const auto i = static_cast<size_t>(rank);
      const bool works = before[i].busy > 0 && now[i].ticks != before[i].ticks;
      if (rank != rank_ && now[i].begun < number && !works) late.push_back(rank);
    }
    if (one_is_busy && late.empty()) return true;
    const std::string limit = in_seconds(timeout_);
    record(late.empty() ? fmt::format("the ranks' connections have been silent for {}", limit)
                        : fmt::format("{} not answered for {}", named(late, size_), limit),
           false);
  } catch (const c10::Error&) {
    lose_store();
  }
  return false;
}

void Watch::wait_for(int64_t number, const std::function<bool()>& done) {
  wait(number, done, kBeat);
}

void Watch::wait_for_device(int64_t number, const std::function<bool()>& done) {
  waits_for_device_ = true;
  wait(number, done, kDevicePause);
  waits_for_device_ = false;
}

void Watch::wait(int64_t number,
                 const std::function<bool()>& done,
                 std::chrono::microseconds pause) {
  auto since = Clock::now();
  std::unique_lock lock(mutex_);
  while (!done()) {
    if (!failure_.empty()) throw PeerError(failure_);
    changed_.wait_for(lock, pause);
    if (Clock::now() - since < timeout_.load() || done()) continue;
    const bool silent =
        rank_ != keeper_ && Clock::now() - looked_at_ > std::min(kSilence, timeout_.load() / 2);
    lock.unlock();
    if (silent) {  // any use of the store would wait as the thread does
      lose_store(fmt::format("has not answered for {}", in_seconds(timeout_)));
    } else if (all_late_are_busy(number)) {
      since = Clock::now();
    }
    lock.lock();
  }
}

void Watch::wait_for_key(const std::function<bool()>& done, const std::string& otherwise) {
  bool there = false;
  // Rank 0 waits for all, the others only for it, so it is the one that knows who is missing.
  wait_until(timeout_.load() + (rank_ == 0 ? milliseconds(0) : kEnding), [&] {
    require_well();
    return there = done();
  });
  if (there) return;
  record(fmt::format("{} for {}", otherwise, in_seconds(timeout_)), true);
  require_well();
}

void Watch::explain(const std::string& what) {
  Silences silences;
  try {
    for (int beat = 0; beat <= 5 * kSilentBeats; ++beat) {
      if (beat > 0) std::this_thread::sleep_for(kBeat);
      require_well();
      const auto silent = silences.next(beats(), kSilentBeats);
      if (!silent) continue;
      record(fmt::format("rank {} of {} is gone", *silent, size_), true);
      require_well();
    }
    record(fmt::format("rank {} of {} lost its connection: {}", rank_, size_, what), false);
  } catch (const c10::Error&) {
    lose_store();
  }
  require_well();
  throw PeerError(what);
}

void Watch::record(const std::string& line, bool gone) {
  learn(store_->compareSet(
      kFailure, std::string(), fmt::format("{} {}", gone ? "gone" : "here", line)));
}

bool Watch::others_beat(std::vector<Beat> before) {
  const auto now = beats();
  before[static_cast<size_t>(rank_)] = now[static_cast<size_t>(rank_)];
  return now != before;
}

bool Watch::tells() {
  {
    const std::lock_guard lock(mutex_);
    if (lost_first_) return rank_ == 0 || !leader_is_watched_;
  }
  wait_until(kSilence, [&] { return heard_.load(); });  // or rank 0 would wait for it
  try {
    if (rank_ != 0) {
      wait_until(kHearing, [&] { return store_->check({kTold}); });
      return !store_->check({kTold}) && store_->add(kTeller, 1) == 1;
    }
    // The store must stay until the others know.
    const int64_t all = size_ - (gone_ ? 1 : 0);
    if (keeper_ == 0) wait_until(kHearing, [&] { return count(kHeard) >= all; });
  } catch (const std::exception&) {  // rank 0 has heard of it and left, with the store
  }
  return rank_ == 0;
}

void Watch::leave() {
  require_well();
  try {
    store_->add(kLeft, 1);
    if (rank_ != keeper_) return;
    const auto all_left = [&] {
      require_well();
      return count(kLeft) == size_;
    };
    std::vector<Beat> before;
    do {  // others may still compute, each by itself
      before = beats();
      wait_until(std::max(timeout_.load(), kSilence), all_left);
    } while (!all_left() && others_beat(before));
  } catch (const c10::Error&) {
    lose_store();
    require_well();
  }
}

}  // namespace previt
