#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/program.h"

namespace previt::test {

using Variable = std::pair<std::string, std::string>;

/// A port of 127.0.0.1 that nobody uses now.
int64_t free_port();

/// `rank_program` as ranks of one run, as torchrun would start them: by environment variables.
class Ranks {
 public:
  Ranks(int64_t size,
        const std::vector<std::string>& words,
        const std::vector<Variable>& more = {});

  Program& operator[](int64_t rank) { return *programs_.at(static_cast<size_t>(rank)); }
  std::vector<Outcome> wait();

 private:
  std::vector<std::unique_ptr<Program>> programs_;
};

/// What all ranks said; one line is what a user is to see.
std::string all_errors(const std::vector<Outcome>& outcomes);

/// The variables that torchrun sets, beside MASTER_ADDR and MASTER_PORT.
std::vector<Variable> variables_of(int64_t rank, int64_t size, int64_t port);

}  // namespace previt::test
