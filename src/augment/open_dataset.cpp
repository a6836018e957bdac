#include "augment/open_dataset.h"

#include "augment/dataset/synthetic.h"
#include "error.h"

namespace previt {

std::shared_ptr<Dataset> open_dataset(const std::string& path,
                                      const std::string& split,
                                      const std::string& cache_folder) {
  if (split != "train" && split != "val" && split != "all") {
    fail_usage("split: {} is not one of train, val, all", split);
  }
  const std::string generated = "synthetic:";
  if (path.rfind(generated, 0) == 0) {
    return make_synthetic(parse_synthetic(path.substr(generated.size())), split);
  }
  (void)cache_folder;
  fail("{}: there is no such file or folder", path);
}

}  // namespace previt
