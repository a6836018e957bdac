#include "parity/parity.h"

#include <fmt/ostream.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "error.h"
#include "options.h"

namespace previt::parity {
namespace fs = std::filesystem;
namespace {

std::map<std::string, CaseFunction>& cases() {
  static std::map<std::string, CaseFunction> all;
  return all;
}

at::Device& current_device() {
  static at::Device device(at::kCPU);
  return device;
}

double largest(const at::Tensor& t) {
  return t.numel() == 0 ? 0 : t.to(torch::kDouble).abs().max().item<double>();
}

// "mae_plain_a.safetensors" → "mae_plain".
std::string case_of(const std::string& path) {
  std::string stem = fs::path(path).filename().string();
  stem = stem.substr(0, stem.find('.'));
  const auto variant = stem.rfind('_');
  return variant == std::string::npos ? stem : stem.substr(0, variant);
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_fixture(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  if (entry.is_directory()) return fs::exists(entry.path() / "config.json");
  return ends_with(name, ".pth") ||
         (ends_with(name, ".safetensors") && !ends_with(name, ".expected.safetensors"));
}

}  // namespace

Registration::Registration(const char* name, CaseFunction run) { cases()[name] = run; }

const at::Tensor& Fixture::at(const std::string& key) const {
  const auto it = tensors.find(key);
  require(it != tensors.end(), "{}: has no {}", path, key);
  return it->second;
}

at::Tensor Fixture::given(const std::string& key) const { return at(key).to(device()); }

NamedTensors Fixture::group(const std::string& prefix) const {
  NamedTensors found;
  for (const auto& [key, tensor] : tensors) {
    if (key.compare(0, prefix.size(), prefix) == 0) found[key.substr(prefix.size())] = tensor;
  }
  return found;
}

double Fixture::number(const std::string& key) const { return config.at(key).get<double>(); }
double Fixture::number(const std::string& key, double otherwise) const {
  return config.contains(key) && !config.at(key).is_null() ? number(key) : otherwise;
}
int64_t Fixture::integer(const std::string& key) const { return config.at(key).get<int64_t>(); }
bool Fixture::flag(const std::string& key) const { return config.at(key).get<bool>(); }

at::Device device() { return current_device(); }
void use_device(at::Device device) { current_device() = device; }

Fixture load(const std::string& path) {
  Fixture fixture{.path = path, .case_name = case_of(path), .config = {}, .tensors = {}};
  if (ends_with(path, ".safetensors")) {
    auto file = read_safetensors(path);
    fixture.tensors = std::move(file.tensors);
    if (file.metadata.contains("config"))
      fixture.config = nlohmann::json::parse(file.metadata["config"]);
    if (file.metadata.contains("case")) fixture.case_name = file.metadata["case"];
  }
  return fixture;
}

void Check::fail(const std::string& name, const std::string& why) {
  ++count_;
  failures_.push_back({kInfinity, fmt::format("{}: {}", name, why)});
}

void Check::that(const std::string& name, bool holds) {
  ++count_;
  if (!holds) failures_.push_back({kInfinity, name});
}

void Check::close(const std::string& name,
                  const at::Tensor& got,
                  const at::Tensor& want,
                  double allowed) {
  ++count_;
  if (!got.defined()) return fail(name, "not computed");
  if (got.numel() != want.numel() || got.squeeze().sizes() != want.squeeze().sizes()) {
    return fail(
        name,
        fmt::format(
            "shape {} instead of {}", fmt::streamed(got.sizes()), fmt::streamed(want.sizes())));
  }
  const at::Tensor difference =
      got.detach().cpu().squeeze().to(torch::kDouble) - want.cpu().squeeze().to(torch::kDouble);
  const double worst = largest(difference);
  if (worst <= allowed) return;  // NaN is not
  failures_.push_back({worst / std::max(allowed, 1e-300),
                       fmt::format("{}: off by {:.3g}, allowed {:.3g}", name, worst, allowed)});
}

void Check::t1(const std::string& name, const at::Tensor& got, const at::Tensor& want) {
  close(name, got, want, 1e-5 * std::max(1.0, largest(want)));
}
void Check::t2(const std::string& name, const at::Tensor& got, const at::Tensor& want) {
  close(name, got, want, 2e-5 * largest(want) + 1e-6);
}
void Check::t3(const std::string& name, const at::Tensor& got, const at::Tensor& want) {
  close(name, got, want, 5e-5);
}
void Check::t4(const std::string& name, const at::Tensor& got, const at::Tensor& want) {
  ++count_;
  if (!got.defined() || got.numel() != want.numel()) return fail(name, "wrong length");
  const at::Tensor w = want.flatten().to(torch::kDouble);
  const at::Tensor difference = (got.flatten().to(torch::kDouble) - w).abs();
  if ((difference <= 1e-12 * w.abs() + 1e-300).all().item<bool>()) return;
  failures_.push_back(
      {largest(difference) / 1e-12, fmt::format("{}: off by {:.3g}", name, largest(difference))});
}
void Check::absolute(const std::string& name,
                     const at::Tensor& got,
                     const at::Tensor& want,
                     double tolerance) {
  close(name, got, want, tolerance);
}
void Check::exact(const std::string& name, const at::Tensor& got, const at::Tensor& want) {
  close(name, got, want, 0);
}
void Check::pixels(const std::string& name,
                   const at::Tensor& got,
                   const at::Tensor& want,
                   double tolerance,
                   double share) {
  ++count_;
  if (!got.defined() || got.sizes() != want.sizes()) return fail(name, "wrong size");
  const at::Tensor difference = (got.to(torch::kInt) - want.to(torch::kInt)).abs();
  const double within = (difference <= tolerance).to(torch::kDouble).mean().item<double>();
  if (within >= share) return;
  failures_.push_back({largest(difference),
                       fmt::format("{}: {:.2f} % of values within {}, worst {}",
                                   name,
                                   100 * within,
                                   tolerance,
                                   largest(difference))});
}

void check_trained(const Fixture& fixture,
                   const std::string& key,
                   const at::Tensor& got,
                   Check& check,
                   double tolerance,
                   const char* strays) {
  const at::Tensor& want = fixture.at(key);
  if (!key.ends_with("attn.qkv.bias")) {
    const auto of_tensors = fixture.config.value(strays, nlohmann::json::object());
    check.absolute(key, got, want, std::max(tolerance, 2 * of_tensors.value(key, 0.0)));
    return;
  }
  const auto of_two = [](const at::Tensor& bias) {
    const auto thirds = bias.detach().cpu().chunk(3);
    return torch::cat({thirds[0], thirds[2]});
  };
  check.absolute(key, of_two(got), of_two(want), tolerance);
}

std::vector<std::string> Check::failures() const {
  auto sorted = failures_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Failure& a, const Failure& b) {
    return a.excess > b.excess;
  });
  std::vector<std::string> texts;
  for (const auto& failure : sorted) texts.push_back(failure.text);
  return texts;
}

Report run(const std::string& path) {
  Report report{
      .file = fs::path(path).filename().string(), .outcome = Outcome::unsupported, .detail = ""};
  Check check;
  try {
    const Fixture fixture = load(path);
    const auto found = cases().find(fixture.case_name);
    if (found == cases().end()) return report;
    found->second(fixture, check);
    if (check.count() == 0) check.fail("nothing", "was compared");
  } catch (const c10::Error& e) {
    check.fail("stopped", e.what_without_backtrace());
  } catch (const std::exception& e) {
    check.fail("stopped", e.what());
  }
  report.outcome = check.passed() ? Outcome::passed : Outcome::failed;
  report.detail =
      check.passed()
          ? fmt::format("{} comparisons", check.count())
          : fmt::format("{} (and {} more)", check.failures().front(), check.failures().size() - 1);
  return report;
}

std::vector<Report> run_folder(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_fixture(entry)) paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Report> reports;
  for (const auto& path : paths) reports.push_back(run(path));
  return reports;
}

}  // namespace previt::parity
