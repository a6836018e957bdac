#include "commands/export_run.h"

#include <torch/utils.h>

#include <filesystem>

#include "commands/model_folder.h"
#include "error.h"
#include "log.h"
#include "unfinished_folder.h"

namespace previt::cli {
namespace {

const WeightFormat& format_of_export(const RunOptions& run) {
  return format_named(run.output.export_format == ExportFormat::hf ? "hugging_face" : "timm");
}

}  // namespace

void require_exportable(const RunOptions& run, const std::function<LoadedModel()>& model) {
  if (run.output.export_format == ExportFormat::none) return;
  const torch::NoGradGuard no_grad;
  OutgoingModel out{.model = model(), .format = &format_of_export(run)};
  leave_out_misfits(out);
  try {
    out.format->write(out.model);
  } catch (const Error& error) {
    fail_usage("output.export: {}", error.what());
  }
}

void export_run(const RunOptions& run, const std::string& folder) {
  if (run.output.export_format == ExportFormat::none) return;
  const std::string best = folder + "/best";
  const std::string from = std::filesystem::exists(best) ? best : folder;
  const OutgoingModel out =
      outgoing_model(load_model(from), from, format_of_export(run), /*bare=*/false);
  const std::string to = folder + "/" + name_of(run.output.export_format);
  UnfinishedFolder unfinished(to, UnfinishedFolder::IfThere::replace);
  write_model_files(unfinished.path(), out);
  unfinished.finish();
  info("{}: {}", name_of(run.output.export_format), to);
}

}  // namespace previt::cli
