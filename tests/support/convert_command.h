#pragma once

#include <cstdlib>
#include <string>

#include "commands/convert.h"
#include "support/catch.h"
#include "support/command.h"
#include "support/program.h"

namespace previt::test {

inline int convert(const std::string& from,
                   const std::string& to,
                   const std::string& format,
                   const Words& more = {}) {
  return call(cli::convert_options(),
              cli::convert,
              Words{"--from", from, "--to", to, "--format", format} + more);
}

/// Loads the folders in a Python that has transformers and timm, if there is one, and official
/// files in the authors' code where MAE_DIR and DINO_DIR name it.
inline void check_in_python(const Words& folders) {
  const char* python = std::getenv("PREVIT_PEER_PYTHON");
  if (python == nullptr) {
    WARN("PREVIT_PEER_PYTHON is not set: nothing but PreViT loads what was written");
    return;
  }
  const std::string script = std::string(PREVIT_SOURCE_DIR) + "/tools/peers/check_export.py";
  const Outcome outcome = run_program(python, Words{script} + folders);
  INFO(outcome.output << outcome.errors);
  CHECK(outcome.code == 0);
}

}  // namespace previt::test
