#pragma once

#include <string>
#include <utility>
#include <vector>

#include "options.h"

namespace previt {

/// Every option of a run as full key and text, in order: for reports, and to find what changed
/// between two runs.
using Settings = std::vector<std::pair<std::string, std::string>>;

inline Settings combined(Settings settings, const Settings& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

/// Collects options as Settings.
class SettingsList final : public FieldVisitor {
 public:
  void field(const Field& field) override;

  const Settings& settings() const { return settings_; }

 protected:
  void enter(const char* name) override { path_.push_back(name); }
  void leave() override { path_.pop_back(); }

 private:
  std::vector<std::string> path_;
  Settings settings_;
};

}  // namespace previt
