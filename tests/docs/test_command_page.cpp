#include <algorithm>
#include <filesystem>
#include <iterator>
#include <regex>
#include <sstream>

#include "docs/page.h"
#include "support/previt_program.h"
#include "support/temp_folder.h"

using namespace previt;

namespace {

// The words that start each command.
const std::vector<std::vector<std::string>> kCommands = {
    {"pretrain"},        {"finetune"},         {"train_tokenizer"},  {"predict"},
    {"convert"},         {"linear_probe"},     {"knn_probe"},        {"report"},
#ifdef PREVIT_WITH_IMAGE_IO
    {"embed"},           {"attention_maps"},   {"pack_dataset"},     {"cache_tokens"},
#endif
    {"bench", "step"},   {"bench", "loader"},  {"bench", "load"},    {"bench", "knn"},
    {"bench", "memory"}, {"bench", "scaling"}, {"bench", "machine"},
};

std::string help_of(std::vector<std::string> command, const std::string& form = "--help") {
  const std::string program = test::program(command.front());
  command.erase(command.begin());
  command.push_back(form);
  const test::Outcome outcome = test::run_program(program, command);
  CHECK(outcome.code == 0);
  return outcome.output;
}

// "--out", "--help" … of a text of Boost.Program_options.
std::vector<std::string> options_in(const std::string& help) {
  static const std::regex kName(R"((^|\n)  (-\S \[ )?(--[a-z0-9-]+))");
  std::vector<std::string> names;
  for (std::sregex_iterator it(help.begin(), help.end(), kName), end; it != end; ++it) {
    names.push_back((*it)[3]);
  }
  return names;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// What bash offers for the last of `words` after it read the completions in `script`.
std::string completed(const std::string& script, const std::vector<std::string>& words) {
  const TempFolder temp;
  const std::string file = temp.path() + "/completion";
  write_whole_file(file, script);
  const std::string& name = words.front();
  const auto outcome = test::run_program(
      "/bin/bash",
      {"-c",
       fmt::format("source {}; COMP_WORDS=({}); COMP_CWORD={}; _previt_{} {}; echo "
                   "${{COMPREPLY[@]}}",
                   file,
                   fmt::join(words, " "),
                   words.size() - 1,
                   std::filesystem::path(name).filename().string(),
                   name)});
  CHECK(outcome.errors.empty());
  return outcome.output;
}

// Options in a text of Boost.Program_options that nothing is said about: "  --out arg (=x)", without
// a description in that line or the next.
std::vector<std::string> without_help(const std::string& text) {
  static const std::regex kOption(R"(^  -\S+( \[ --\S+ \])?( arg)?( \(=.*?\))?)");
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  lines.emplace_back();
  std::vector<std::string> bare;
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (!line.starts_with("  -")) continue;
    std::smatch option;
    std::regex_search(line, option, kOption);
    const bool beside = option.suffix().str().find_first_not_of(' ') != std::string::npos;
    const std::string& next = lines[i + 1];
    const bool below = next.starts_with("   ") && next.find_first_not_of(' ') != std::string::npos;
    if (!beside && !below) bare.push_back(line);
  }
  return bare;
}

}  // namespace

TEST_CASE("every option of a program has a help text", "[docs]") {
  for (const auto& command : kCommands) {
    INFO(fmt::format("{}", fmt::join(command, " ")));
    const std::string help = help_of(command);
    CHECK(help.find("--help") != std::string::npos);
    CHECK(without_help(help) == std::vector<std::string>{});
  }
  CHECK(without_help("Options:\n  --out arg  a folder\n  --bare arg\n  --long arg (=5)\n"
                     "             said below\n  -h [ --help ]\n") ==
        std::vector<std::string>{"  --bare arg", "  -h [ --help ]"});
}

TEST_CASE("every option of a program is in its manual page and completions") {
  CHECK(options_in("Options:\n  --out arg  a\n    --not\n  -h [ --help ]  b\n  --k\n") ==
        std::vector<std::string>{"--out", "--help", "--k"});
  for (const auto& command : kCommands) {
    INFO(fmt::format("{}", fmt::join(command, " ")));
    const auto options = options_in(help_of(command));
    REQUIRE(options.size() >= 2);
    const std::string man = help_of(command, "--help-man"), bash = help_of(command, "--help-bash"),
                      zsh = help_of(command, "--help-zsh");
    for (const std::string& option : options) {
      INFO(option);
      CHECK(has(man, std::regex_replace("\\fB" + option + "\\fR", std::regex("-"), "\\-")));
      CHECK((has(bash, option + " ") || has(bash, option + "'")));
      CHECK((has(zsh, option + "[") || has(zsh, option + "=[")));
    }
    const auto count = static_cast<std::ptrdiff_t>(options.size());
    CHECK(std::ranges::count(options, "--help") == 1);
    const std::regex entry("\n\\.TP\n");
    CHECK(std::distance(std::sregex_iterator(man.begin(), man.end(), entry), {}) == count);
  }
}

TEST_CASE("bash completes options, commands and recipes") {
  const std::string pretrain = test::program("pretrain");
  const std::string script = help_of({"pretrain"}, "--help-bash");
  CHECK(has(completed(script, {pretrain, "--rec"}), "--recipe\n"));
  CHECK(has(completed(script, {pretrain, "--recipe", "quickstart/m"}), "quickstart/mae\n"));
  CHECK(completed(script, {pretrain, "photos"}) == "\n");  // files, which readline looks for
  const std::string bench = help_of({"bench"}, "--help-bash");
  CHECK(completed(bench, {"bench", "ma"}) == "machine\n");
  CHECK(completed(bench, {"bench", "knn", "--que"}) == "--queries\n");
  CHECK(completed(bench, {"bench", "none", "--que"}) == "\n");
}

TEST_CASE("the manual page of a program with commands has them all in one frame") {
  const std::string man = help_of({"bench"}, "--help-man");
  CHECK(man.starts_with(".TH \"BENCH\" 1 "));
  CHECK(man.find(".TH", 3) == std::string::npos);
  for (const char* part : {"step", "loader", "knn", "machine"}) {
    CHECK(has(man, fmt::format("\n.SH \"bench {}\"\n", part)));
  }
  CHECK(has(help_of({"predict"}, "--help-man"), "\n.SH NAME\npredict \\- writes the class"));
  CHECK(help_of({"bench"}, "--help-zsh").starts_with("#compdef bench previt-bench\n"));
}

#ifdef PREVIT_WITH_IMAGE_IO
TEST_CASE("docs/commands.md says what programs take", "[docs]") {
  std::string page =
      "# Commands\n\n"
      "What each program says of itself with `--help`; `tests/docs` makes this page. What goes\n"
      "into a recipe and behind `--set` is in [recipes.md](recipes.md).\n";
  for (const auto& command : kCommands) {
    page += fmt::format("\n## {}\n\n```text\n{}```\n", fmt::join(command, " "), help_of(command));
  }
  test::check_page("commands.md", page);
}
#endif
