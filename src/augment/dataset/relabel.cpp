#include "augment/dataset/relabel.h"

#include <utility>

namespace previt {
namespace {

class Relabelled final : public Dataset {
 public:
  Relabelled(std::shared_ptr<Dataset> dataset,
             std::vector<int64_t> numbers,
             std::vector<std::string> class_names)
      : dataset_(std::move(dataset)),
        numbers_(std::move(numbers)),
        class_names_(std::move(class_names)) {}

  int64_t size() const override { return dataset_->size(); }
  std::unique_ptr<SampleReader> reader() const override { return dataset_->reader(); }
  int64_t label(int64_t index) const override {
    const int64_t label = dataset_->label(index);
    return label < 0 ? label : numbers_.at(static_cast<size_t>(label));
  }
  std::string name(int64_t index) const override { return dataset_->name(index); }
  std::vector<std::string> class_names() const override { return class_names_; }
  std::optional<Image> mask(int64_t index) const override { return dataset_->mask(index); }

 private:
  std::shared_ptr<Dataset> dataset_;
  std::vector<int64_t> numbers_;
  std::vector<std::string> class_names_;
};

}  // namespace

std::shared_ptr<Dataset> relabel(std::shared_ptr<Dataset> dataset,
                                 std::vector<int64_t> numbers,
                                 std::vector<std::string> class_names) {
  return std::make_shared<Relabelled>(
      std::move(dataset), std::move(numbers), std::move(class_names));
}

}  // namespace previt
