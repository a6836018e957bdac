#pragma once

#include <cstdint>
#include <string>

#include "communicator.h"

namespace previt {

/// The sum over all ranks of a number that each has.
int64_t total(int64_t number, Communicator& all = world());

/// The texts that the ranks have, in their order, as one.
std::string texts_of_all(const std::string& own, Communicator& all = world());

/// [first, end) of a row of things.
struct Part {
  int64_t first = 0, end = 0;
  bool empty() const { return first == end; }
};

/// The part of `count` things that this rank works on: the ranks' parts follow each other and
/// begin at multiples of `unit`, so that what one process would compute together (a batch) stays
/// together. The first ranks have one unit more where it doesn't divide, so with fewer units than
/// ranks the last ones have none.
Part part_of(int64_t count, int64_t unit, const Communicator& all = world());

}  // namespace previt
