#pragma once

#include <c10/core/ScalarType.h>

#include <vector>

#include "batch.h"
#include "finetune/scores.h"
#include "models/vit.h"

namespace previt {

/// One evaluated image, for the report.
struct Example {
  at::Tensor pixels;  ///< uint8 [H, W, 3]
  int64_t label = 0, answer = 0;
  double confidence = 0;  ///< probability of the answer
};

struct Evaluation {
  Scores scores;
  std::vector<Example> right;  ///< the surest right answer of each class
  std::vector<Example> wrong;  ///< the surest wrong answers, worst first
  int64_t unreadable = 0;      ///< images that the scores leave out

  /// Those of the scores, and "unreadable" where there are such.
  nlohmann::ordered_json json() const;
};

/// What `vit` answers on one pass over `source`, computed in `type`. Each sample counts once, also
/// where a loader put it in the place of an unreadable one. The model is left in the mode it was
/// in.
Evaluation evaluate(Vit& vit,
                    BatchSource& source,
                    const NormalizeOptions& normalize_options,
                    at::ScalarType type);

}  // namespace previt
