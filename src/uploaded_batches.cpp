#include "uploaded_batches.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

#include "upload.h"

namespace previt {
namespace {

constexpr size_t kAhead = 2;

}  // namespace

UploadedBatches::UploadedBatches(BatchSource& source, at::Device device, Draw draw)
    : source_(source), device_(device), draw_(std::move(draw)) {
  if (!device.is_cpu()) {
    stream_ = c10::impl::VirtualGuardImpl(device.type()).getNewStream(device);
  }
}

void UploadedBatches::seek(int64_t epoch, int64_t batch) {
  ahead_.clear();
  source_.seek(epoch, batch);
}

Batch UploadedBatches::next() {
  const size_t wanted = stream_ ? 1 + kAhead : 1;
  while (ahead_.size() < wanted && (ahead_.empty() || !ahead_.back().error)) {
    ahead_.push_back(fetch());
  }
  Ahead first = std::move(ahead_.front());
  ahead_.pop_front();
  if (first.error) std::rethrow_exception(first.error);
  bad_samples_ = first.bad_samples;
  if (first.there) hand_over(first);
  return std::move(first.batch);
}

UploadedBatches::Ahead UploadedBatches::fetch() {
  Ahead ahead;
  const c10::OptionalStreamGuard copying(stream_);  // for what the source makes there, too
  try {
    ahead.batch = source_.next();
    if (stream_ && draw_) ahead.batch.drawn = draw_(ahead.batch);
  } catch (...) {
    ahead.error = std::current_exception();
    return ahead;
  }
  ahead.bad_samples = source_.bad_samples();
  if (stream_) start_upload(ahead);
  return ahead;
}

void UploadedBatches::start_upload(Ahead& ahead) {
  for (at::Tensor* tensor : device_tensors(ahead.batch)) {
    if (tensor->is_cpu()) *tensor = upload(*tensor, device_);
  }
  ahead.there.emplace(device_.type());
  ahead.there->record(*stream_);
}

void UploadedBatches::hand_over(const Ahead& ahead) const {
  const c10::impl::VirtualGuardImpl devices(device_.type());
  const c10::Stream user = devices.getStream(device_);
  ahead.there->block(user);
  // Their memory is the copying stream's, which must not take it back before the user is done.
  Batch batch = ahead.batch;
  for (const at::Tensor* tensor : device_tensors(batch)) {
    devices.recordDataPtrOnStream(tensor->storage().data_ptr(), user);
  }
}

}  // namespace previt
