#pragma once

#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/weights/safetensors.h"

namespace previt::parity {

/// A fixture made by the authors' code: its tensors by key, its own config. Loaded from
/// X.safetensors, or for a .pth or a folder only `path` and `case_name` are filled.
struct Fixture {
  std::string path;
  std::string case_name;  ///< metadata "case", or the file's stem without its variant ("_a")
  nlohmann::json config;
  NamedTensors tensors;

  const at::Tensor& at(const std::string& key) const;  ///< throws Error naming the key
  at::Tensor given(const std::string& key) const;      ///< the same on device()
  bool has(const std::string& key) const { return tensors.contains(key); }
  /// Tensors whose key begins with `prefix` ("weight."), with it removed.
  NamedTensors group(const std::string& prefix) const;
  double number(const std::string& key) const;
  double number(const std::string& key, double otherwise) const;  ///< where it is null or missing
  int64_t integer(const std::string& key) const;
  bool flag(const std::string& key) const;
};

Fixture load(const std::string& path);

/// Where networks and losses are computed from here on: the CPU, unless use_device() was called.
/// What is always computed on the host (augmentations, schedules, files) stays there.
at::Device device();
void use_device(at::Device device);

/// Collects comparisons; remembers the worst one. Tolerances are those of the fixtures' README.
class Check {
 public:
  void t1(const std::string& name,
          const at::Tensor& got,
          const at::Tensor& want);  ///< outputs, losses
  void t2(const std::string& name, const at::Tensor& got, const at::Tensor& want);  ///< gradients
  void t3(const std::string& name,
          const at::Tensor& got,
          const at::Tensor& want);  ///< weights after steps
  void t4(const std::string& name,
          const at::Tensor& got,
          const at::Tensor& want);  ///< float64 tables
  void absolute(const std::string& name,
                const at::Tensor& got,
                const at::Tensor& want,
                double tolerance);
  void exact(const std::string& name, const at::Tensor& got, const at::Tensor& want);
  /// At least `share` of the values within `tolerance` (8-bit images).
  void pixels(const std::string& name,
              const at::Tensor& got,
              const at::Tensor& want,
              double tolerance,
              double share = 1.0);
  void that(const std::string& name, bool holds);
  void fail(const std::string& name, const std::string& why);

  bool passed() const { return failures_.empty(); }
  int64_t count() const { return count_; }
  /// The worst failure first, one line each.
  std::vector<std::string> failures() const;

 private:
  void close(const std::string& name,
             const at::Tensor& got,
             const at::Tensor& want,
             double allowed);
  struct Failure {
    double excess;
    std::string text;
  };
  std::vector<Failure> failures_;
  int64_t count_ = 0;
};

using CaseFunction = void (*)(const Fixture&, Check&);

/// `tolerance`, T3 by default, for the fixture's trained weight `key` ("output.weight.norm.bias") but the key third of a qkv
/// bias: the key's bias has no true gradient, and Adam turns its rounding noise into steps of up to
/// the rate. Where the authors' float32 run itself strays further from their float64 one (`strays`
/// of the configuration), so may we.
void check_trained(const Fixture& fixture,
                   const std::string& key,
                   const at::Tensor& got,
                   Check& check,
                   double tolerance = 5e-5,
                   const char* strays = "f64_dev_over_2e5");

/// Registers the function that reproduces all fixtures of one case, whatever their variant and
/// shapes:
///     PARITY_CASE(mae_plain) { check.t1("loss", …, fixture.at("output.loss")); }
struct Registration {
  Registration(const char* name, CaseFunction run);
};
#define PARITY_CASE(name)                                                                \
  static void parity_##name(const ::previt::parity::Fixture& fixture,                    \
                            ::previt::parity::Check& check);                             \
  static const ::previt::parity::Registration registration_##name(#name, parity_##name); \
  static void parity_##name([[maybe_unused]] const ::previt::parity::Fixture& fixture,   \
                            [[maybe_unused]] ::previt::parity::Check& check)

enum class Outcome { passed, failed, unsupported };
struct Report {
  std::string file;
  Outcome outcome;
  std::string detail;
};

/// Runs one fixture, or every fixture of a folder in order of name. Files named
/// *.expected.safetensors and io.safetensors belong to another fixture and are not listed on their
/// own.
Report run(const std::string& path);
std::vector<Report> run_folder(const std::string& folder);

}  // namespace previt::parity
