#pragma once

#include <string>
#include <utility>
#include <vector>

#include "pretrain/train/chart.h"

namespace previt {

/// One self-contained HTML page about a run: figures, curves, pictures, tables. Sections come in
/// the order in which they are added. All texts are escaped; SVG is taken as it is.
class Report {
 public:
  Report(const std::string& title, const std::string& subtitle);

  /// A headline figure: "loss", "0.4213".
  void add_figure(const std::string& name, const std::string& value);

  void add_charts(const std::string& title, const std::vector<Chart>& charts);
  /// If `folded`, only the number of rows shows until a reader opens it.
  void add_table(const std::string& title,
                 const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows,
                 bool folded = false);
  void add_svg(const std::string& title, const std::string& svg, const std::string& caption = "");
  /// Commands and other text, in a font of fixed width.
  void add_text(const std::string& title, const std::string& text);

  struct PngPicture {
    std::string caption;
    std::string png;  ///< the file's bytes
  };
  void add_pictures(const std::string& title, const std::vector<PngPicture>& pictures);

  /// Takes over the title of `page`, an earlier one about the same run, and those of its figures
  /// and sections that this one lacks by name; all come in the order of that page. `without`: the
  /// name of a section that isn't taken over.
  void keep_from(const std::string& page, const std::string& without = "");

  std::string html() const;

 private:
  void add_section(const std::string& title, const std::string& body);

  // As HTML.
  std::string title_, subtitle_;
  std::vector<std::pair<std::string, std::string>> figures_;   // value, name
  std::vector<std::pair<std::string, std::string>> sections_;  // title, body
};

std::string base64(const std::string& bytes);

}  // namespace previt
