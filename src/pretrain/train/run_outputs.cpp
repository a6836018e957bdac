#include "pretrain/train/run_outputs.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "error.h"
#include "files.h"

namespace previt {
namespace {

/// The folder, made if it isn't there.
std::string made(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  require(!error, "{}: can't be made: {}", folder, error.message());
  return folder;
}

/// Whoever reads the file meanwhile sees the old one or the new one.
void replace_file(const std::string& path, const std::string& content) {
  const std::string temporary = path + ".tmp";
  write_whole_file(temporary, content);
  std::filesystem::rename(temporary, path);
}

}  // namespace

RunOutputs::RunOutputs(std::string folder, const RunHooks& hooks, int64_t first_step)
    : folder_(made(folder)),
      hooks_(hooks),
      log_(folder_ + "/log.txt"),
      metrics_(folder_ + "/metrics.jsonl", first_step),
      events_(folder_, first_step) {
  if (!hooks.recipe.empty()) replace_file(folder_ + "/recipe.yaml", hooks.recipe);
}

void RunOutputs::write(const MetricsLine& line) {
  metrics_.write(line);
  events_.write(line.step, line.values);
}

void RunOutputs::add_previews(const std::vector<Picture>& pictures, double epochs_done) {
  made(folder_ + "/previews");
  previews_.clear();
  for (const auto& picture : pictures) {
    const std::string png = hooks_.encode_png(picture.pixels);
    replace_file(
        fmt::format("{}/previews/epoch_{:06.1f}_{}.png", folder_, epochs_done, picture.name), png);
    previews_.push_back(
        {fmt::format("{} (after {:.4g} epochs)", picture.caption, epochs_done), png});
  }
}

void RunOutputs::write_report(const RunSummary& summary) const {
  Report report = make_report(summary, metrics_.lines());
  report.add_pictures("Previews", previews_);
  if (hooks_.extend_report) hooks_.extend_report(report);
  add_run_details(report, metrics_.lines(), hooks_.settings, hooks_.command);
  replace_file(folder_ + "/report.html", report.html());
}

}  // namespace previt
