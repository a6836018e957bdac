#include "commands/report.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "commands/run_folder.h"
#include "error.h"
#include "files.h"
#include "log.h"
#include "pretrain/train/comparison.h"
#include "pretrain/train/run_outputs.h"
#include "run_lock.h"

namespace previt::cli {
namespace {

namespace fs = std::filesystem;

ComparedRun read_and_tell(const std::string& folder) {
  ComparedRun run = read_run_folder(folder);
  if (run.damaged_lines > 0) {
    warn("{}/metrics.jsonl: damaged lines, left out: {}", folder, run.damaged_lines);
  }
  return run;
}

// From what the folder holds. What only the training knew is kept from the page that it wrote.
std::string page_of(const std::string& folder) {
  const ComparedRun run = read_and_tell(folder);
  Report report = make_report(summary_of(run), run.lines);
  report.add_pictures("Previews", newest_previews(folder));
  add_run_details(report, run.lines, run.settings, /*command=*/"");
  const std::string earlier = folder + "/report.html";
  if (fs::is_regular_file(earlier)) report.keep_from(read_whole_file(earlier));
  return report.html();
}

std::string page_of(const std::vector<std::string>& folders, ChartAxis axis) {
  for (size_t i = 0; i < folders.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      std::error_code none;
      if (!fs::equivalent(folders[i], folders[k], none)) continue;
      fail_usage("--compare: {} and {} are the same run", folders[k], folders[i]);
    }
  }
  ComparedRuns runs;
  for (const std::string& folder : folders) runs.push_back(read_and_tell(folder));
  const auto names = distinct_names(folders);
  for (size_t i = 0; i < runs.size(); ++i) runs[i].name = names[i];
  return comparison(runs, axis).html();
}

void write_page(const std::string& path, const std::string& page) {
  write_whole_file(path, page);
  info("report: {}", path);
}

}  // namespace

po::options_description report_options() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("run",
      po::value<std::string>(),
      "run folder whose report.html is written anew; its name alone is enough: report RUN");
  add("compare",
      po::value<std::vector<std::string>>()->multitoken(),
      "run folders, two or more, for a page that shows them side by side");
  add("to",
      po::value<std::string>(),
      "file for the page; RUN/report.html, or comparison.html when not given");
  add("over",
      po::value<std::string>()->default_value("auto"),
      "what the curves of --compare are drawn over: epoch, step or auto: epochs where all runs "
      "tell them");
  return options;
}

po::positional_options_description report_words() {
  po::positional_options_description words;
  words.add("run", 1);
  return words;
}

int report(const po::variables_map& args) {
  const bool compares = args.count("compare") > 0;
  const auto axis = enum_named<ChartAxis>(args["over"].as<std::string>(), "--over");
  if (compares == (args.count("run") > 0)) {
    fail_usage("say one run, or several behind --compare; --help says more");
  }
  const auto to = [&](const std::string& otherwise) {
    return args.count("to") > 0 ? args["to"].as<std::string>() : otherwise;
  };
  if (compares) {
    const auto folders = args["compare"].as<std::vector<std::string>>();
    if (folders.size() < 2) fail_usage("--compare: needs two runs or more");
    write_page(to("comparison.html"), page_of(folders, axis));
    return 0;
  }
  const auto folder = args["run"].as<std::string>();
  const std::string page = page_of(folder);
  std::optional<RunLock> lock;
  if (args.count("to") == 0) lock.emplace(folder);  // its training writes the same file
  write_page(to(folder + "/report.html"), page);
  return 0;
}

}  // namespace previt::cli
