#pragma once

#include <cstdlib>
#include <string>

#include "files.h"
#include "support/catch.h"

namespace previt::test {

/// Compares a page of docs/ with what it is made of. PREVIT_WRITE_DOCS=1 in the environment writes
/// the page first.
inline void check_page(const std::string& name, const std::string& text) {
  const std::string path = std::string(PREVIT_SOURCE_DIR) + "/docs/" + name;
  if (std::getenv("PREVIT_WRITE_DOCS") != nullptr) write_whole_file(path, text);
  INFO("docs/" << name << " is old; renew it: PREVIT_WRITE_DOCS=1 previt_tests '[docs]'");
  CHECK((read_whole_file(path) == text));
}

}  // namespace previt::test
