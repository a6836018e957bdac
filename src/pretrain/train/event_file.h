#pragma once

#include <cstdint>
#include <string>

#include "pretrain/train/averages.h"

namespace previt {

/// Scalars for TensorBoard: an events.out.tfevents file of TFRecords (length, data and their masked
/// CRC-32C) that hold tensorflow.Event messages in protobuf's wire format.
class EventFile {
 public:
  /// A new file in `folder`. `first_step` tells TensorBoard to forget what an earlier file of the
  /// run says from there on.
  EventFile(const std::string& folder, int64_t first_step);

  /// Throws Error if it can't be written.
  void write(int64_t step, const Scalars& scalars);

 private:
  void append(const std::string& record);
  double time();  // seconds; never before the last one, even if the clock is set back

  std::string path_;
  double time_ = 0;
};

/// CRC-32C (Castagnoli) of bytes, and as TFRecord masks it.
uint32_t crc32c(const std::string& bytes);
uint32_t masked_crc32c(const std::string& bytes);

}  // namespace previt
