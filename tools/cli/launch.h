#pragma once

#include <boost/program_options.hpp>
#include <cstdint>

namespace previt::cli {

namespace po = boost::program_options;

/// Adds --nproc. A command that has it takes several processes, by whatever they were started.
void add_nproc_option(po::options_description& options);

/// What --nproc says, else 1. Throws UsageError.
int64_t asked_processes(const po::variables_map& values);

/// Starts `processes` copies of this program without --nproc, as torchrun would on one machine,
/// and waits for them. SIGTERM, SIGINT and SIGHUP go on to rank 0, whose command passes them on to
/// the others or dies of them. Where one fails, the others have 15 seconds to end. Where one asked
/// for it (new_start.h), all are then started again with --resume. Returns the exit code of the first
/// that failed, or 0. Call it before there are threads.
int launch(int64_t processes);

}  // namespace previt::cli
