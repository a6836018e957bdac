#pragma once

#include <string>
#include <utility>
#include <vector>

#include "options.h"

namespace previt {

/// Every option of a run as full key and text, in order: for reports, and to tell what changed
/// between two runs.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// Collects options as Settings.
class SettingsList final : public FieldVisitor {
 public:
  void field(const char* name, double& value, const char* help, Range range = {}) override;
  void field(const char* name, int64_t& value, const char* help, Range range = {}) override;
  void field(const char* name, bool& value, const char* help) override;
  void field(const char* name, std::string& value, const char* help, Choices choices = {}) override;
  void field(const char* name,
             std::vector<double>& value,
             const char* help,
             Range range = {}) override;
  void field(const char* name,
             std::vector<int64_t>& value,
             const char* help,
             Range range = {}) override;

  const Settings& settings() const { return settings_; }

 protected:
  void enter(const char* name) override { path_.push_back(name); }
  void leave() override { path_.pop_back(); }

 private:
  void add(const char* name, std::string text);
  std::vector<std::string> path_;
  Settings settings_;
};

}  // namespace previt
