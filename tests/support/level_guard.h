#pragma once

#include "cpu_level.h"

/// Within its scope loops of at most `level` run.
class LevelGuard {
 public:
  explicit LevelGuard(previt::CpuLevel level) : before_(previt::cpu_level()) {
    previt::limit_cpu_level(level);
  }
  ~LevelGuard() { previt::limit_cpu_level(before_); }
  LevelGuard(const LevelGuard&) = delete;
  LevelGuard& operator=(const LevelGuard&) = delete;

 private:
  previt::CpuLevel before_;
};
