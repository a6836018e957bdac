#pragma once

#include <boost/program_options.hpp>
#include <string>

#include "commands/pretrain_recipe.h"
#include "pretrain/pretrain_run.h"

namespace previt::cli {

namespace po = boost::program_options;

/// What a command trains. It refuses the recipes of the other product.
enum class Product { backbone, tokenizer };

/// The command line of `pretrain` and, for a tokenizer, of `train_tokenizer`, which must have a
/// recipe. Frozen by a test.
po::options_description pretrain_options(Product product = Product::backbone);

/// Reads --recipe, or another recipe, with --set and --data on top; of a `resumed` one, what a time
/// budget decided stays. Throws UsageError.
PretrainRun read_pretrain_run(const po::variables_map& args);
PretrainRun read_pretrain_run(const po::variables_map& args, Recipe recipe, bool resumed = false);

/// The whole of `pretrain` and `train_tokenizer`; returns the exit code. `command` is how it was
/// called, for the report. Throws Error or UsageError.
int pretrain(const po::variables_map& args, const std::string& command, Product product);

/// The command as one would type it again, quoted for a shell.
std::string command_line(int argc, char** argv);

}  // namespace previt::cli
