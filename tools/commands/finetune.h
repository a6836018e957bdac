#pragma once

#include <string>

#include "commands/finetune_job.h"

namespace previt::cli {

/// The whole `finetune` command: trains or evaluates, writes result.json and prints it. `command`
/// is how it was typed, for the report. Returns the exit code; throws UsageError or Error.
int finetune(const po::variables_map& args, const std::string& command);

}  // namespace previt::cli
