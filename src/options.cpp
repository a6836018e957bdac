#include "options.h"

#include <fmt/format.h>

namespace previt {

bool Range::contains(double value) const {
  return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
}

std::string Range::text() const {
  return fmt::format("{}{}, {}{}",
                     low_open || low == -kInfinity ? '(' : '[',
                     low,
                     high,
                     high_open || high == kInfinity ? ')' : ']');
}

}  // namespace previt
