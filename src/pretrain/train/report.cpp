#include "pretrain/train/report.h"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

namespace previt {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --page:#f6f7f9; --card:#fff; --text:#1c2330; --muted:#6b7484;
  --grid:#e4e7ec; --line:#2563eb; }
@media (prefers-color-scheme: dark) {
  :root { --page:#12151b; --card:#1b2029; --text:#e6e9ef; --muted:#98a1b0; --grid:#2c333f; --line:#6ea8fe; }
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
.hit rect { fill:var(--line); opacity:0; } .hit circle { fill:var(--line); opacity:0; }
.hit:hover rect { opacity:.08; } .hit:hover circle { opacity:1; }
img { max-width:100%; border-radius:6px; display:block; margin:0 auto; }
table { border-collapse:collapse; font-variant-numeric:tabular-nums; }
td, th { padding:4px 18px 4px 0; text-align:left; border-bottom:1px solid var(--grid); }
th { color:var(--muted); font-weight:500; } tr:last-child td { border-bottom:0; }
pre { margin:0; white-space:pre-wrap; overflow-wrap:anywhere; font-size:13px; }
summary { cursor:pointer; color:var(--muted); }
)";

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

Report::Report(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void Report::add_figure(const std::string& name, const std::string& value) {
  figures_ += fmt::format("<div class=\"figure\"><b>{}</b><span>{}</span></div>\n",
                          escape_html(value),
                          escape_html(name));
}

void Report::add_section(const std::string& title, const std::string& body) {
  sections_ += fmt::format("<h2>{}</h2>\n{}\n", escape_html(title), body);
}

void Report::add_charts(const std::string& title, const std::vector<Chart>& charts) {
  std::string body;
  for (const auto& chart : charts) {
    body += card(fmt::format("<h3>{}</h3>{}", escape_html(chart.title), chart_svg(chart)));
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

std::string Report::html() const {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<title>{0}</title><style>{1}</style></head>\n<body><main>\n<h1>{0}</h1>\n"
      "<p class=\"muted\">{2}</p>\n<div class=\"figures\">{3}</div>\n{4}</main></body></html>\n",
      escape_html(title_),
      kStyle,
      escape_html(subtitle_),
      figures_,
      sections_);
}

}  // namespace previt
