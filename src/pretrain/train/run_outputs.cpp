#include "pretrain/train/run_outputs.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "communicator.h"
#include "error.h"
#include "files.h"
#include "json_text.h"
#include "log.h"

namespace previt {
namespace {

constexpr const char* kPreviews = "/previews/";
constexpr const char* kPage = "/report.html";
// Names and captions of the newest pictures, in previews/.
constexpr const char* kNewest = "newest.json";

}  // namespace

std::vector<Report::PngPicture> newest_previews(const std::string& run_folder) {
  const std::string folder = run_folder + kPreviews;
  std::vector<Report::PngPicture> pictures;
  if (!std::filesystem::exists(folder + kNewest)) return pictures;
  const auto list = json_or_discarded<nlohmann::ordered_json>(read_whole_file(folder + kNewest));
  if (!list.is_object()) return pictures;
  for (const auto& [name, caption] : list.items()) {
    if (!caption.is_string() || !std::filesystem::exists(folder + name)) continue;
    pictures.push_back({caption, read_whole_file(folder + name)});
  }
  return pictures;
}

RunOutputs::RunOutputs(std::string folder,
                       const RunRecord& record,
                       const TrainCallbacks& callbacks,
                       int64_t first_step)
    : folder_(std::move(folder)), record_(record), callbacks_(callbacks) {
  if (!world().leads()) return;
  make_folder(folder_);
  log_to(folder_ + "/log.txt");
  files_.reset(new Files{.metrics = {folder_ + "/metrics.jsonl", first_step},
                         .events = {folder_, first_step}});
  for (const std::string& line : record.started_from) info("{}", line);
  if (first_step > 0) {
    previews_ = newest_previews(folder_);
    const std::string page = folder_ + kPage;
    const bool extended = callbacks.extend_report && std::filesystem::is_regular_file(page);
    if (extended) earlier_page_ = read_whole_file(page);
  }
  if (!record.recipe.empty()) write_whole_file(folder_ + "/recipe.yaml", record.recipe);
  if (!record.kept_apart.empty()) write_whole_file(folder_ + "/held_out.json", record.kept_apart);
  if (!record.few_shot.empty()) write_whole_file(folder_ + "/few_shot.json", record.few_shot);
}

void RunOutputs::write(const MetricsLine& line) {
  if (!files_) return;
  files_->metrics.write(line);
  files_->events.write(line.step, line.values);
}

void RunOutputs::add_previews(const std::vector<Picture>& pictures, double epochs_done) {
  if (!files_ || pictures.empty()) return;
  const std::string folder = folder_ + kPreviews;
  make_folder(folder);
  previews_.clear();
  nlohmann::ordered_json captions = nlohmann::ordered_json::object();
  for (const auto& picture : pictures) {
    const std::string png = callbacks_.encode_png(picture.pixels);
    const std::string name = fmt::format("epoch_{:06.1f}_{}.png", epochs_done, picture.name);
    const std::string caption =
        fmt::format("{} (after {:.4g} epochs)", picture.caption, epochs_done);
    write_whole_file(folder + name, png);
    captions[name] = caption;
    previews_.push_back({caption, png});
  }
  write_whole_file(folder + kNewest, json_text(captions, 1) + "\n");
}

void RunOutputs::write_report(const RunSummary& summary) {
  if (!files_) return;
  const auto& lines = files_->metrics.lines();
  Report report = make_report(summary, lines);
  report.add_pictures("Previews", previews_);
  if (callbacks_.extend_report && callbacks_.extend_report(report)) earlier_page_.clear();
  add_run_details(report, lines, record_.settings, record_.command);
  if (!earlier_page_.empty()) report.keep_from(earlier_page_, kDiagnosisSection);
  write_whole_file(folder_ + kPage, report.html());
}

}  // namespace previt
