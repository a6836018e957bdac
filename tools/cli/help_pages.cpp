#include "cli/help_pages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "cli/main.h"
#include "error.h"
#include "nearest_word.h"

namespace previt::cli {
namespace {

constexpr const char* kForms[] = {"--help-man", "--help-bash", "--help-zsh"};

// A program, or one of its commands, in the words of its summary.
struct Subject {
  std::string name, what;
  bool part = false;  // "bench step", described on the page of bench

  explicit Subject(const std::string& summary) {
    const auto colon = summary.find(": ");
    name = summary.substr(0, colon);
    what = colon == std::string::npos ? "" : summary.substr(colon + 2);
    std::replace(what.begin(), what.end(), '\n', ' ');
    part = name.find(' ') != std::string::npos;
  }
  // "previt_bench_step"
  std::string function() const {
    std::string word = "previt_" + name;
    std::replace(word.begin(), word.end(), ' ', '_');
    return word;
  }
};

struct HelpOption {
  std::string name, letter, value, help;  // "--help", "-h" or "", "arg (=5)" or ""
  bool required, repeats;

  explicit HelpOption(const po::option_description& option)
      : name("--" + option.long_name()),
        value(option.format_parameter()),
        help(option.description()),
        required(option.semantic()->is_required()),
        repeats(option.semantic()->is_composing()) {
    const std::string shown = option.format_name();  // "-h [ --help ]"
    if (!shown.starts_with("--")) letter = shown.substr(0, 2);
  }
};

std::vector<HelpOption> all_of(const po::options_description& options) {
  std::vector<HelpOption> all;
  for (const auto& option : options.options()) all.emplace_back(*option);
  return all;
}

std::string roff(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (safe.empty() && (c == '.' || c == '\'')) safe = "\\&";
    if (c == '-') safe += '\\';
    safe += c == '\\' ? "\\e" : std::string(1, c);
  }
  return safe;
}

std::string man_head(const Subject& subject, const std::string& synopsis) {
  std::string title = subject.name;
  std::transform(title.begin(), title.end(), title.begin(), [](unsigned char c) {
    return static_cast<char>(std::toupper(c));
  });
  return fmt::format(
      ".TH \"{}\" 1 \"\" \"PreViT {}\" \"PreViT\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n{}\n",
      title,
      PREVIT_VERSION,
      subject.name,
      roff(subject.what),
      subject.name,
      synopsis);
}

std::string man_tail() {
  return ".SH EXIT STATUS\n0 done; 2 wrong usage or recipe; 1 failed; 129, 130 or 143 interrupted "
         "after a checkpoint\nwas saved.\n";
}

std::string man_options(const std::vector<HelpOption>& options) {
  std::string text;
  for (const HelpOption& option : options) {
    text += fmt::format(".TP\n{}\\fB{}\\fR{}\n{}\n",
                        option.letter.empty() ? "" : "\\fB" + roff(option.letter) + "\\fR, ",
                        roff(option.name),
                        option.value.empty() ? "" : " \\fI" + roff(option.value) + "\\fR",
                        roff(option.help));
  }
  return text;
}

std::string man_page(const Subject& subject, const std::vector<HelpOption>& options) {
  if (subject.part) {
    return fmt::format(
        ".SH \"{}\"\n{}\n{}", subject.name, roff(subject.what), man_options(options));
  }
  std::string synopsis;
  for (const HelpOption& option : options) {
    if (option.required) synopsis += fmt::format("\\fB{}\\fR \\fIarg\\fR ", roff(option.name));
  }
  return man_head(subject, synopsis + "[\\fIoption\\fR ...]") + ".SH OPTIONS\n" +
         man_options(options) + man_tail();
}

// For .deb packages, whose programs are called previt-NAME, too.
std::string bash_registration(const Subject& subject) {
  return fmt::format("complete -o bashdefault -o default -F _{0} {1} previt-{1}\n",
                     subject.function(),
                     subject.name);
}

// Names of options where a word begins with "-", names of recipes behind --recipe, else files.
std::string bash_page(const Subject& subject, const std::vector<HelpOption>& options) {
  std::vector<std::string> words;
  for (const HelpOption& option : options) {
    words.push_back(option.name);
    if (!option.letter.empty()) words.push_back(option.letter);
  }
  const std::string recipes =
      "  if [[ ${COMP_WORDS[COMP_CWORD-1]} == --recipe ]]; then\n"
      "    words=$(\"$1\" --list-recipes 2>/dev/null | cut -d' ' -f1)\n"
      "  elif [[ $word != -* ]]; then\n    return\n  fi\n";
  return fmt::format(
             "_{}() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}} words='{}'\n  COMPREPLY=()\n"
             "{}  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n}}\n",
             subject.function(),
             fmt::join(words, " "),
             recipes) +
         (subject.part ? "" : bash_registration(subject));
}

std::string zsh_quoted(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') safe += '\\';
    safe += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return safe;
}

std::string zsh_page(const Subject& subject, const std::vector<HelpOption>& options) {
  std::string lines;
  for (const HelpOption& option : options) {
    const std::string value = option.value.empty() ? "" : ":value:_files";
    for (const std::string& name : {option.name, option.letter}) {
      if (name.empty()) continue;
      lines += fmt::format(" \\\n    '{}{}{}[{}]{}'",
                           option.repeats ? "*" : "",
                           name,
                           option.value.empty() || name == option.letter ? "" : "=",
                           zsh_quoted(option.help),
                           value);
    }
  }
  if (!subject.part) {
    return fmt::format("#compdef {0} previt-{0}\n_arguments{1}\n", subject.name, lines);
  }
  return fmt::format("_{}() {{\n  _arguments{}\n}}\n", subject.function(), lines);
}

HelpFrame bash_frame(const Subject& subject, const std::string& commands) {
  return {.before = "",
          .after = fmt::format("_{0}() {{\n"
                               "  if ((COMP_CWORD == 1)); then\n"
                               "    mapfile -t COMPREPLY < <(compgen -W '{1}' -- "
                               "\"${{COMP_WORDS[1]}}\")\n"
                               "  elif declare -F \"_{0}_${{COMP_WORDS[1]}}\" >/dev/null; then\n"
                               "    \"_{0}_${{COMP_WORDS[1]}}\" \"$@\"\n"
                               "  fi\n}}\n",
                               subject.function(),
                               commands) +
                   bash_registration(subject)};
}

HelpFrame zsh_frame(const Subject& subject, const std::string& commands) {
  return {.before = fmt::format("#compdef {0} previt-{0}\n", subject.name),
          .after = fmt::format("if ((CURRENT == 2)); then\n  compadd {1}\n"
                               "else\n  shift words\n  ((CURRENT--))\n  _{0}_$words[1]\nfi\n",
                               subject.function(),
                               commands)};
}

}  // namespace

std::string help_page(const std::string& word,
                      const std::string& summary,
                      const po::options_description& options) {
  const Subject subject(summary);
  if (word == "--help-man") return man_page(subject, all_of(options));
  if (word == "--help-bash") return bash_page(subject, all_of(options));
  if (word == "--help-zsh") return zsh_page(subject, all_of(options));
  return "";
}

HelpFrame help_frame(const std::string& word,
                     const std::string& summary,
                     const std::vector<std::string>& commands) {
  const Subject subject(summary);
  const std::string names = fmt::format("{}", fmt::join(commands, " "));
  if (word == "--help-bash") return bash_frame(subject, names);
  if (word == "--help-zsh") return zsh_frame(subject, names);
  const std::string synopsis =
      fmt::format("\\fI{}\\fR [\\fIoption\\fR ...]", fmt::join(commands, "\\fR|\\fI"));
  return {.before = man_head(subject, synopsis), .after = man_tail()};
}

int run_command(int argc,
                char** argv,
                const std::string& summary,
                const std::string& usage,
                const std::vector<Command>& commands) {
  std::string word = argc > 1 ? argv[1] : "";
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (word == command.name) return command.main(argc - 1, argv + 1);
    names.push_back(command.name);
  }
  if (std::find(std::begin(kForms), std::end(kForms), word) == std::end(kForms)) {
    const bool help = word == "--help" || word == "-h";
    if (help || word.empty()) {
      std::fputs(usage.c_str(), help ? stdout : stderr);
      return help ? 0 : 2;
    }
    std::fputs(fmt::format(
                   "{}: not one of {}{}\n", word, fmt::join(names, ", "), did_you_mean(word, names))
                   .c_str(),
               stderr);
    return 2;
  }
  const HelpFrame frame = help_frame(word, summary, names);
  print(frame.before);
  for (size_t i = 0; i < commands.size(); ++i) {
    char* part[] = {names[i].data(), word.data(), nullptr};
    if (const int code = commands[i].main(2, part); code != 0) return code;
  }
  print(frame.after);
  return 0;
}

}  // namespace previt::cli
