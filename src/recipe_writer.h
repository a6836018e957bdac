#pragma once

#include <string>

#include "options.h"

namespace previt {

/// Collects options as YAML text: the fully resolved recipe written beside a run, which reads back
/// to the same options.
class RecipeWriter final : public FieldVisitor {
 public:
  void field(const Field& field) override;

  const std::string& text() const { return text_; }

 protected:
  void enter(const char* name) override;
  void leave() override;

 private:
  std::string text_;
  int depth_ = 0;
};

}  // namespace previt
