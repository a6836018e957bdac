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
  std::vector<Example> right{};  ///< the surest right answer of each of at most 12 classes
  std::vector<Example> wrong{};  ///< the surest wrong answers, surest first, at most 12
  int64_t unreadable = 0;        ///< images that the scores leave out

  /// Puts the scores of all ranks together, each of its part of the images. The examples stay those
  /// of the own part.
  void add_ranks(Communicator& all = world());
  /// The fields of the scores, and "unreadable" where there are such images.
  nlohmann::ordered_json json() const;
};

/// Runs `vit` once over `source`, computing in `type`. Each sample counts once, even where the
/// loader puts it in the place of an unreadable one as well. Afterwards the model is in the mode
/// (training or eval) that it was in before.
Evaluation evaluate(Vit& vit,
                    BatchSource& source,
                    const NormalizeOptions& normalize_options,
                    at::ScalarType type);

}  // namespace previt
