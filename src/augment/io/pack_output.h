#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "augment/io/pack_writer.h"

namespace previt {

/// Writes a pack in one file or, with a `shard_size`, in several of at most so many bytes of images
/// (more where a single one has more) and an index. Until all are there, shards are called
/// <stem>-00000.h5 and so on, and the one being written has .partial behind that; an interrupted
/// pack goes on from them. At the end, once the index is written, they get their names and it
/// appears. What was a pack of this name before is replaced, with the shards that have its name; a
/// link is followed. Nothing else is replaced: where a shard's name is taken, finish() throws
/// before it renames any. Throws Error led by the path.
class PackOutput {
 public:
  /// Throws Error if something there was begun for another source or with other options.
  PackOutput(const std::string& path, const PackInfo& info, uint64_t shard_size = 0);

  /// As of PackWriter, over all files.
  int64_t next_input() const { return done_.inputs + (writer_ ? writer_->next_input() : 0); }
  int64_t skipped() const { return done_.skipped + (writer_ ? writer_->skipped() : 0); }
  int64_t images() const { return next_input() - skipped(); }
  uint64_t total_bytes() const { return done_.bytes + (writer_ ? writer_->total_bytes() : 0); }

  void add(const PackedImage& image);
  void skip();
  void commit();
  void finish();

 private:
  /// Of the shards that are written.
  struct Done {
    size_t shards = 0;
    int64_t inputs = 0, skipped = 0;
    uint64_t bytes = 0;
  };
  bool sharded() const { return shard_size_ > 0; }
  std::string own_name(size_t shard) const;
  PackInfo shard_info() const;
  void take_up(const std::string& shard);
  PackWriter& writer();
  void close_shard();
  void finish_shards();

  std::string path_, stem_;
  PackInfo info_;
  uint64_t shard_size_;
  std::vector<std::string> replaced_;  // shards of the pack that has the name
  Done done_;
  std::unique_ptr<PackWriter> writer_;
};

}  // namespace previt
