#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace previt::cli {

// How several processes begin anew where memory runs out in one: it asks --nproc, which waits for
// the end of all and starts them again, to go on from the last checkpoint with fewer images at a
// time. What torchrun, mpirun or srun started can't ask.

/// Asks --nproc to start all anew, as `images` at a time don't fit in memory. Returns false where it
/// didn't start this process. The process must then fail.
bool ask_for_new_start(int64_t images);

/// For how many images at a time memory ran out before this run was started anew; 0: it wasn't.
int64_t images_before_new_start();

/// The side of --nproc.
class NewStarts {
 public:
  NewStarts();
  ~NewStarts();
  NewStarts(const NewStarts&) = delete;
  NewStarts& operator=(const NewStarts&) = delete;

  /// What is added to the environment of each process.
  std::vector<std::pair<std::string, std::string>> variables() const;
  /// Lets a process that is about to run its program keep its end of the connection.
  void hand_over() const;
  /// Whether one of the processes, which all have ended, asked for fewer images than the last time.
  bool asked();

 private:
  int reader_ = -1, writer_ = -1;
  int64_t images_ = 0;
};

}  // namespace previt::cli
