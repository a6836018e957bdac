#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "error.h"
#include "models/weights/load_model.h"
#include "pretrain/objective.h"
#include "pretrain/run_options.h"
#include "tensor_files.h"

namespace previt {

/// The options of one objective. They begin as the method's official defaults and are then read
/// from a recipe.
class ObjectiveRecipe {
 public:
  virtual ~ObjectiveRecipe() = default;
  /// Sets the official defaults of the shared sections (model, optimizer, schedule …) before the
  /// recipe is read.
  virtual void set_defaults(RunOptions& run) const = 0;
  /// The method's own sections at the recipe's root, for example `mae:` and `augment:`.
  virtual void visit_options(FieldVisitor& v) = 0;
  /// `open` reads the tensor files that the recipe names. Without it, a method that needs one
  /// throws Error.
  virtual std::shared_ptr<Objective> build(const RunOptions& run,
                                           const TensorFileOpener& open) const = 0;
  /// Lays out what a run has beside the backbone in `model` as the authors' files have it: sets
  /// LoadedModel::format, and of `own`, the objective's tensors by their names, `extra` and
  /// `others`. Without a layout of the method, does nothing.
  virtual void lay_out(const NamedTensors& own, LoadedModel& model) const = 0;
  /// Whether an image tokenizer comes out, not a backbone.
  virtual bool makes_tokenizer() const = 0;
  /// The command that runs it.
  std::string command() const { return makes_tokenizer() ? "train_tokenizer" : "pretrain"; }
};

/// Objectives by name. CMake generates register_all_objectives() from the files in objectives/:
/// each `foo.cpp` defines `void register_foo(ObjectiveRegistry&)`.
class ObjectiveRegistry {
 public:
  /// Adds an objective. Options needs `static void set_defaults(RunOptions&)` and
  /// `visit(FieldVisitor&, Options&)`. Impl needs a constructor (const Options&, const
  /// RunOptions&), with a TensorFileOpener as its last argument if it reads tensor files, and
  /// `tokenizer()` if it trains one. Options may have a `lay_out` (ObjectiveRecipe).
  template <class Impl, class Options>
  void add(const std::string& name) {
    makers_[name] = [] { return std::make_unique<Typed<Impl, Options>>(); };
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, maker] : makers_) all.push_back(name);
    return all;
  }

  /// The options of the objective `name`. Throws UsageError, with the nearest name for a typo.
  std::unique_ptr<ObjectiveRecipe> make(const std::string& name) const {
    require_choice(name, names(), "objective");
    return makers_.at(name)();
  }

 private:
  template <class Impl, class Options>
  struct Typed final : ObjectiveRecipe {
    Options options;
    void set_defaults(RunOptions& run) const override { Options::set_defaults(run); }
    void visit_options(FieldVisitor& v) override { visit(v, options); }
    std::shared_ptr<Objective> build(const RunOptions& run,
                                     [[maybe_unused]] const TensorFileOpener& open) const override {
      if constexpr (std::is_constructible_v<Impl, Options, RunOptions, TensorFileOpener>) {
        return std::make_shared<Impl>(options, run, open);
      } else {
        return std::make_shared<Impl>(options, run);
      }
    }
    void lay_out([[maybe_unused]] const NamedTensors& own,
                 [[maybe_unused]] LoadedModel& model) const override {
      if constexpr (requires { options.lay_out(own, model); }) options.lay_out(own, model);
    }
    bool makes_tokenizer() const override {
      return requires(Impl& training) { training.tokenizer(); };
    }
  };
  std::map<std::string, std::function<std::unique_ptr<ObjectiveRecipe>()>> makers_;
};

void register_all_objectives(ObjectiveRegistry& registry);  // generated

}  // namespace previt
