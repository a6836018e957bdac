#include "augment/loader.h"

#include <c10/util/ParallelGuard.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "augment/bad_samples.h"
#include "augment/sample_order.h"
#include "augment/sample_renderer.h"
#include "augment/views.h"
#include "cores.h"
#include "error.h"
#include "random.h"
#include "upload.h"

namespace previt {
namespace {

using Order = std::vector<int64_t>;  // the epoch's samples, as SampleOrder numbers them

/// A batch being made. Workers fill its slots in chunks, each slot by one worker only. Loader's
/// mutex_ guards the counts, `bad` and `error`.
struct Job {
  Batch batch;
  std::shared_ptr<const Order> order;
  int64_t start = 0, count = 0;  // positions in `order`
  int64_t taken = 0, done = 0;
  std::vector<BadSample> bad;
  std::exception_ptr error;
};

std::shared_ptr<Job> make_job(const std::vector<ViewSpec>& specs, int64_t count) {
  auto job = std::make_shared<Job>();
  job->count = count;
  for (const auto& spec : specs) {
    for (int64_t k = 0; k < spec.count; ++k) {
      job->batch.views.push_back(
          host_memory({count, spec.height, spec.width, 3}, torch::kUInt8).permute({0, 3, 1, 2}));
    }
  }
  job->batch.labels = host_memory({count}, torch::kInt64);
  job->batch.indices = torch::empty({count}, torch::kInt64);
  return job;
}

class Loader final : public BatchSource {
 public:
  Loader(std::shared_ptr<Dataset> dataset,
         std::vector<ViewSpec> specs,
         const LoaderOptions& options,
         std::function<void(const std::string&)> log);
  ~Loader() override;

  EpochPlan epoch_plan() const override { return epoch_plan_; }
  void seek(int64_t epoch, int64_t batch) override;
  Batch next() override;
  std::vector<std::string> class_names() const override { return dataset_->class_names(); }
  int64_t bad_samples() const override { return bad_samples_.count(); }

 private:
  void start_workers(int64_t count);
  void start_jobs();
  void wrap();
  std::shared_ptr<const Order> order_of(int64_t epoch);
  void work();
  void fill(Job& job, int64_t first, int64_t last, SampleRenderer& renderer);
  void fill_slot(Job& job, int64_t slot, SampleRenderer& renderer);

  const std::shared_ptr<Dataset> dataset_;
  const std::vector<ViewSpec> specs_;
  const LoaderOptions options_;
  const SampleOrder sample_order_;
  const EpochPlan epoch_plan_;
  int64_t chunk_ = 1;  // slots that a worker takes at once

  // Used only by the thread that calls next() and seek().
  int64_t epoch_ = 0, batch_ = 0;  // of the next job to start; batch_ is a position of all ranks
  int64_t order_epoch_ = -1;
  std::shared_ptr<const Order> order_;
  BadSamples bad_samples_;

  std::mutex mutex_;
  std::condition_variable work_there_, batch_done_;
  std::deque<std::shared_ptr<Job>> jobs_;  // oldest first
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

Loader::Loader(std::shared_ptr<Dataset> dataset,
               std::vector<ViewSpec> specs,
               const LoaderOptions& options,
               std::function<void(const std::string&)> log)
    : dataset_(std::move(dataset)),
      specs_(std::move(specs)),
      options_(options),
      sample_order_{.images = dataset_->size(),
                    .shuffle = options.shuffle,
                    .repeats = options.repeats,
                    .copies = options.copies,
                    .seed = options.seed},
      epoch_plan_{.samples = sample_order_.size(),
                  .step = options.step > 0 ? options.step : options.batch,
                  .batch = options.batch,
                  .drop_last = options.drop_last},
      bad_samples_(
          *dataset_, options.max_bad_fraction, epoch_plan_.samples / options.of, std::move(log)) {
  require(samples_per_epoch() > 0, "the data set has no images");
  require_a_step(epoch_plan_);
  batch_ = options.rank;
  const int64_t per_step = epoch_plan_.step / epoch_plan_.batch;
  require(options.of == 1 || (options.drop_last && per_step % options.of == 0),
          "{} batches in a step can't be shared by {} processes",
          per_step,
          options.of);
  const int64_t workers = options.workers > 0 ? options.workers : cores_for_reading();
  chunk_ = std::clamp<int64_t>(options.batch / (4 * workers), 1, 16);
  start_workers(workers);
}

// As many as the system gives, but at least one.
void Loader::start_workers(int64_t count) {
  try {
    for (int64_t i = 0; i < count; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    require(!workers_.empty(), "data.workers: no thread can be started: {}", error.what());
  }
}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_there_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void Loader::seek(int64_t epoch, int64_t batch) {
  require(epoch >= 0 && batch >= 0, "seek: there is no batch {} of epoch {}", batch, epoch);
  const std::lock_guard lock(mutex_);
  jobs_.clear();  // a worker still at one of them finishes its chunk for nothing
  require(batch % options_.of == 0, "seek: batch {} is not the first of {}", batch, options_.of);
  epoch_ = epoch;
  batch_ = batch + options_.rank;
  wrap();
  bad_samples_.restart_epoch();
}

std::shared_ptr<const Order> Loader::order_of(int64_t epoch) {
  if (order_epoch_ == epoch) return order_;
  order_ = std::make_shared<const Order>(sample_order_.of_epoch(epoch));
  order_epoch_ = epoch;
  return order_;
}

void Loader::start_jobs() {
  const size_t wanted = static_cast<size_t>(std::max<int64_t>(1, options_.prefetch));
  for (size_t i = jobs_.size(); i < wanted; ++i) {
    const auto order = order_of(epoch_);
    auto job = make_job(specs_, epoch_plan_.images_in_batch(batch_));
    job->batch.epoch = epoch_;
    job->order = order;
    job->start = batch_ * options_.batch;
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    work_there_.notify_all();
    batch_ += options_.of;
    wrap();
  }
}

// An epoch has as many batches for each process, so that all begin the next one together.
void Loader::wrap() {
  epoch_ += batch_ / batches_per_epoch();
  batch_ %= batches_per_epoch();
}

Batch Loader::next() {
  start_jobs();
  std::shared_ptr<Job> job;
  {
    std::unique_lock lock(mutex_);
    job = jobs_.front();
    batch_done_.wait(lock, [&] { return job->done == job->count; });
    jobs_.pop_front();
  }
  // The freed place is filled at once, so that workers don't wait for the caller.
  start_jobs();
  if (job->error) std::rethrow_exception(job->error);
  bad_samples_.add(job->batch.epoch, job->count, job->bad);
  return std::move(job->batch);
}

void Loader::work() {
  // LibTorch's own threads would compete with ours. Their number belongs to the whole process; this
  // guard holds for one thread.
  const c10::ParallelGuard serial(true);
  const torch::NoGradGuard no_grad;
  SampleRenderer renderer(*dataset_, specs_);
  std::unique_lock lock(mutex_);
  for (;;) {
    std::shared_ptr<Job> job;
    work_there_.wait(lock, [&] {
      for (const auto& candidate : jobs_) {
        if (candidate->taken < candidate->count) {
          job = candidate;
          break;
        }
      }
      return stop_ || job;
    });
    if (stop_) return;
    const int64_t first = job->taken;
    const int64_t last = std::min(first + chunk_, job->count);
    job->taken = last;
    lock.unlock();
    fill(*job, first, last, renderer);
    lock.lock();
    job->done += last - first;
    if (job->done == job->count) batch_done_.notify_all();
  }
}

void Loader::fill(Job& job, int64_t first, int64_t last, SampleRenderer& renderer) {
  try {
    for (int64_t slot = first; slot < last; ++slot) fill_slot(job, slot, renderer);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    job.error = std::current_exception();
  }
}

void Loader::fill_slot(Job& job, int64_t slot, SampleRenderer& renderer) {
  const auto& order = *job.order;
  const auto epoch = static_cast<uint64_t>(job.batch.epoch);
  std::string reason;
  // After so many unreadable samples in a row there are hardly any readable ones.
  const int64_t attempts = std::min<int64_t>(static_cast<int64_t>(order.size()), 1000);
  for (int64_t attempt = 0; attempt < attempts; ++attempt) {
    const int64_t position = (job.start + slot + attempt) % static_cast<int64_t>(order.size());
    const int64_t sample = order[position];
    const int64_t index = sample % dataset_->size();
    Random random(options_.seed, Stream::views, {epoch, static_cast<uint64_t>(sample)});
    if (renderer.render(index, random, job.batch.views, slot, reason)) {
      job.batch.indices.data_ptr<int64_t>()[slot] = index;
      job.batch.labels.data_ptr<int64_t>()[slot] = dataset_->label(index);
      return;
    }
    // Only the slot's own sample: an unreadable substitute is counted in its own slot.
    if (attempt == 0) {
      const std::lock_guard lock(mutex_);
      job.bad.push_back({index, reason});
    }
  }
  const int64_t last =
      order[(job.start + slot + attempts - 1) % static_cast<int64_t>(order.size())];
  fail("{}: {}; no image of {} in a row is readable",
       dataset_->name(last % dataset_->size()),
       reason,
       attempts);
}

}  // namespace

std::unique_ptr<BatchSource> make_loader(std::shared_ptr<Dataset> dataset,
                                         std::vector<ViewSpec> specs,
                                         const LoaderOptions& options,
                                         std::function<void(const std::string&)> log) {
  return std::make_unique<Loader>(std::move(dataset), std::move(specs), options, std::move(log));
}

}  // namespace previt
