#pragma once

#include <string>
#include <vector>

#include "settings.h"

namespace previt {

/// What a run writes down about itself, besides its results.
struct RunRecord {
  std::string title;       ///< of the report; empty: the objective and the model
  std::string command;     ///< that makes this run again, for the report
  std::string recipe;      ///< fully resolved, written to recipe.yaml
  Settings settings;       ///< the same as a list: reported, and compared on resume
  bool held_out = false;   ///< evaluated images are held out of the data, which must not change
  std::string kept_apart;  ///< images that no step sees, JSON, written to held_out.json
  std::string few_shot;    ///< images kept of each class, JSON, written to few_shot.json; "": all
  std::vector<std::string> class_names;  ///< stored with the backbone
  double crop_pct = 0;                   ///< of the evaluation view; stored with the backbone

  /// StartReport::lines, logged when the run begins.
  std::vector<std::string> started_from;
};

}  // namespace previt
