#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/temp_folder.h"

namespace previt::test {

/// The surroundings in which a program is started.
struct Surroundings {
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< on top of the test's own
  int64_t largest_file = 0;  ///< bytes that a file may have, as on a full disk; 0: any number
  std::string output = "";   ///< file for stdout; "": it is collected
  bool terminal = false;     ///< whether stderr is a terminal
};

struct Outcome {
  int code = 0;  ///< as a shell sees it: 137 after SIGKILL
  std::string output, errors;

  /// Lines of stderr; the text ends in a line break.
  std::vector<std::string> error_lines() const;
};

/// A program in a process of its own: its end, signals and limits can't be tested in that of the
/// tests.
class Program {
 public:
  Program(const std::string& file,
          const std::vector<std::string>& words,
          const Surroundings& surroundings = {});
  ~Program();  ///< kills it if it still runs
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal) const;
  pid_t process() const { return process_; }
  bool runs();
  Outcome wait();

 private:
  TempFolder folder_;
  int terminal_ = -1;
  pid_t process_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

/// Starts a program and waits for its end.
Outcome run_program(const std::string& file,
                    const std::vector<std::string>& words,
                    const Surroundings& surroundings = {});

}  // namespace previt::test
