#include "pretrain/train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace previt {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page:#f6f7f9; --card:#fff; --text:#1c2330; --muted:#6b7484;
  --grid:#e4e7ec; --line:#2563eb; --line-0:#1d4ed8; --line-1:#d97706; --line-2:#047857; --line-3:#be123c;
  --line-4:#7c3aed; --line-5:#0891b2; --line-6:#4b5563; --line-7:#db2777; }
@media (prefers-color-scheme: dark) {
  :root { --page:#12151b; --card:#1b2029; --text:#e6e9ef; --muted:#98a1b0; --grid:#2c333f; --line:#6ea8fe;
    --line-0:#6ea8fe; --line-1:#fbbf24; --line-2:#34d399; --line-3:#fb7185; --line-4:#a78bfa; --line-5:#22d3ee;
    --line-6:#cbd5e1; --line-7:#f472b6; }
}
* { box-sizing: border-box; }
body { margin:0; background:var(--page); color:var(--text); font:15px/1.5 system-ui,sans-serif; }
main { max-width:1180px; margin:0 auto; padding:28px 20px 60px; }
h1 { font-size:26px; margin:0; } h2 { font-size:18px; margin:34px 0 12px; } h3 { font-size:14px; margin:0 0 6px; }
.muted, figcaption { color:var(--muted); } figcaption { font-size:13px; margin-top:8px; }
.figures { display:flex; flex-wrap:wrap; gap:12px; margin-top:20px; }
.figure { background:var(--card); border-radius:10px; padding:10px 16px; min-width:120px; }
.figure b { display:block; font-size:20px; font-variant-numeric:tabular-nums; }
.figure span { color:var(--muted); font-size:13px; }
.grid { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr)); gap:16px; }
.card { background:var(--card); border-radius:10px; padding:14px 16px; margin:0; overflow-x:auto; }
svg { width:100%; height:auto; display:block; } svg text { fill:var(--muted); font-size:11px; }
.hit { fill:var(--line); } .hit rect, .hit circle { opacity:0; }
.hit:hover rect { opacity:.08; } .hit:hover circle { opacity:1; }
img { max-width:100%; border-radius:6px; display:block; margin:0 auto; }
table { border-collapse:collapse; font-variant-numeric:tabular-nums; }
.legend { display:flex; flex-wrap:wrap; gap:2px 16px; margin:0 0 4px; font-size:13px; }
.legend span { display:flex; align-items:center; gap:6px; } .legend svg { width:36px; flex:none; }
td, th { padding:4px 18px 4px 0; text-align:left; border-bottom:1px solid var(--grid); }
th { color:var(--muted); font-weight:500; } tr:last-child td { border-bottom:0; }
pre { margin:0; white-space:pre-wrap; overflow-wrap:anywhere; font-size:13px; }
summary { cursor:pointer; color:var(--muted); }
)";

// How the parts of a page begin, are divided and end.
constexpr const char* kFigure[] = {"<div class=\"figure\"><b>", "</b><span>", "</span></div>\n"};
constexpr const char* kSection[] = {"<h2>", "</h2>\n", "\n"};
constexpr const char* kTitle = "<title>";
constexpr const char* kTitleEnd = "</title>";
constexpr const char* kPageEnd = "</main></body></html>\n";

using Parts = std::vector<std::pair<std::string, std::string>>;

// The parts in a text that has nothing else behind the first.
Parts parts_in(const std::string& text, const char* const (&marks)[3]) {
  const std::string begin = marks[0], middle = marks[1];
  Parts parts;
  for (size_t at = text.find(begin); at != std::string::npos;) {
    const size_t first = at + begin.size();
    at = text.find(begin, first);
    const std::string part = text.substr(first, at - first);
    const size_t divide = part.find(middle), end = part.rfind(marks[2]);
    if (divide == std::string::npos || end == std::string::npos || end < divide) continue;
    const size_t second = divide + middle.size();
    parts.emplace_back(part.substr(0, divide), part.substr(second, end - second));
  }
  return parts;
}

std::string text_of(const Parts& parts, const char* const (&marks)[3]) {
  std::string text;
  for (const auto& [first, second] : parts) {
    text += marks[0] + first + marks[1] + second + marks[2];
  }
  return text;
}

// Puts what `earlier` has besides them among `own`, in its order. `name` says where a part's is.
void keep(Parts& own, Parts earlier, std::string Parts::value_type::*name) {
  for (const auto& part : own) {
    const auto same = std::find_if(earlier.begin(), earlier.end(), [&](const auto& other) {
      return other.*name == part.*name;
    });
    if (same == earlier.end()) {
      earlier.push_back(part);
    } else {
      *same = part;
    }
  }
  own = std::move(earlier);
}

std::string table_html(const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<table>";
  const auto add_row = [&](const std::vector<std::string>& cells, const char* tag) {
    html += "<tr>";
    for (const auto& cell : cells) html += fmt::format("<{0}>{1}</{0}>", tag, escape_html(cell));
    html += "</tr>\n";
  };
  if (!header.empty()) add_row(header, "th");
  for (const auto& row : rows) add_row(row, "td");
  return html + "</table>";
}

std::string card(const std::string& body, const std::string& caption = "") {
  const std::string note =
      caption.empty() ? "" : fmt::format("<figcaption>{}</figcaption>", escape_html(caption));
  return fmt::format("<figure class=\"card\">{}{}</figure>\n", body, note);
}

}  // namespace

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

Report::Report(const std::string& title, const std::string& subtitle)
    : title_(escape_html(title)), subtitle_(escape_html(subtitle)) {}

void Report::add_figure(const std::string& name, const std::string& value) {
  figures_.emplace_back(escape_html(value), escape_html(name));
}

void Report::add_section(const std::string& title, const std::string& body) {
  sections_.emplace_back(escape_html(title), body);
}

void Report::add_charts(const std::string& title, const std::vector<Chart>& charts) {
  std::string body;
  for (const auto& chart : charts) {
    body += card(fmt::format(
        "<h3>{}</h3>{}{}", escape_html(chart.title), legend_html(chart), chart_svg(chart)));
  }
  if (!charts.empty()) add_section(title, fmt::format("<div class=\"grid\">{}</div>", body));
}

void Report::add_table(const std::string& title,
                       const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows,
                       bool folded) {
  const std::string table = table_html(header, rows);
  add_section(
      title,
      card(folded
               ? fmt::format("<details><summary>{} rows</summary>{}</details>", rows.size(), table)
               : table));
}

void Report::add_svg(const std::string& title, const std::string& svg, const std::string& caption) {
  add_section(title, card(svg, caption));
}

void Report::add_text(const std::string& title, const std::string& text) {
  add_section(title, card(fmt::format("<pre>{}</pre>", escape_html(text))));
}

void Report::add_pictures(const std::string& title, const std::vector<PngPicture>& pictures) {
  std::string body;
  for (const auto& picture : pictures) {
    body += card(fmt::format("<img alt=\"{}\" src=\"data:image/png;base64,{}\">",
                             escape_html(picture.caption),
                             base64(picture.png)),
                 picture.caption);
  }
  if (!pictures.empty()) add_section(title, fmt::format("<div class=\"grid\">{}</div>", body));
}

void Report::keep_from(const std::string& page, const std::string& without) {
  const size_t title = page.find(kTitle), title_end = page.find(kTitleEnd);
  if (title != std::string::npos && title < title_end && title_end != std::string::npos) {
    const size_t first = title + std::strlen(kTitle);
    title_ = page.substr(first, title_end - first);
  }
  const size_t sections = std::min(page.find(kSection[0]), page.size());
  keep(figures_, parts_in(page.substr(0, sections), kFigure), &Parts::value_type::second);
  Parts earlier = parts_in(page.substr(sections, page.rfind(kPageEnd) - sections), kSection);
  std::erase_if(earlier, [&](const auto& part) { return part.first == escape_html(without); });
  keep(sections_, std::move(earlier), &Parts::value_type::first);
}

std::string Report::html() const {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "{5}{0}{6}<style>{1}</style></head>\n<body><main>\n<h1>{0}</h1>\n"
      "<p class=\"muted\">{2}</p>\n<div class=\"figures\">{3}</div>\n{4}{7}",
      title_,
      kStyle,
      subtitle_,
      text_of(figures_, kFigure),
      text_of(sections_, kSection),
      kTitle,
      kTitleEnd,
      kPageEnd);
}

}  // namespace previt
