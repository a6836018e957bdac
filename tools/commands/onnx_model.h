#pragma once

#include <boost/program_options.hpp>

namespace previt::cli {

namespace po = boost::program_options;

/// The options of `convert --format onnx` alone.
void add_onnx_options(po::options_description& options);
/// Throws UsageError that names one of them if it is given.
void refuse_onnx_options(const po::variables_map& args);

/// Writes what --from names as a folder with model.onnx, model.json (what a program must know to
/// use it) and README.md. Prints one JSON line. Throws Error or UsageError.
int convert_to_onnx(const po::variables_map& args);

}  // namespace previt::cli
