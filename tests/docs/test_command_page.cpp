#include <regex>
#include <sstream>

#include "docs/page.h"
#include "support/previt_program.h"

using namespace previt;

namespace {

// The words that start each command.
const std::vector<std::vector<std::string>> kCommands = {
    {"pretrain"},
    {"finetune"},
    {"train_tokenizer"},
    {"predict"},
    {"convert"},
    {"linear_probe"},
    {"knn_probe"},
#ifdef PREVIT_WITH_IMAGE_IO
    {"embed"},
    {"attention_maps"},
    {"pack_dataset"},
    {"cache_tokens"},
#endif
    {"bench", "step"},
    {"bench", "loader"},
    {"bench", "knn"},
    {"bench", "machine"},
};

std::string help_of(std::vector<std::string> command) {
  const std::string program = test::program(command.front());
  command.erase(command.begin());
  command.push_back("--help");
  const test::Outcome outcome = test::run_program(program, command);
  CHECK(outcome.code == 0);
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
