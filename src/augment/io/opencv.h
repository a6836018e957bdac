#pragma once

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>

namespace previt {

/// Sets OpenCV to one thread, since the loader has its own, and to no messages, since errors are
/// one line of ours. Must be called before the first use of OpenCV.
inline void settle_opencv() {
  static const bool settled = [] {
    cv::setNumThreads(1);
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    return true;
  }();
  static_cast<void>(settled);
}

}  // namespace previt
