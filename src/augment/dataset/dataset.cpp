#include "augment/dataset/dataset.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "across_ranks.h"
#include "augment/views.h"
#include "error.h"

namespace previt {
namespace {

class SelectedReader final : public SampleReader {
 public:
  SelectedReader(std::unique_ptr<SampleReader> reader, const std::vector<int64_t>& indices)
      : reader_(std::move(reader)), indices_(indices) {}

  ImageSize open(int64_t index) override { return reader_->open(indices_[index]); }
  void decode(const Box& box, int64_t reduction, Region& region) override {
    reader_->decode(box, reduction, region);
  }
  std::span<const uint8_t> file() const override { return reader_->file(); }

 private:
  std::unique_ptr<SampleReader> reader_;
  const std::vector<int64_t>& indices_;
};

class Selected final : public Dataset {
 public:
  Selected(std::shared_ptr<Dataset> dataset, std::vector<int64_t> indices)
      : dataset_(std::move(dataset)), indices_(std::move(indices)) {}

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  std::unique_ptr<SampleReader> reader() const override {
    return std::make_unique<SelectedReader>(dataset_->reader(), indices_);
  }
  int64_t label(int64_t index) const override { return dataset_->label(indices_[index]); }
  std::string name(int64_t index) const override { return dataset_->name(indices_[index]); }
  std::vector<std::string> class_names() const override { return dataset_->class_names(); }
  std::optional<Image> mask(int64_t index) const override {
    return dataset_->mask(indices_[index]);
  }

 private:
  std::shared_ptr<Dataset> dataset_;
  std::vector<int64_t> indices_;
};

}  // namespace

Image read_image(SampleReader& reader, int64_t index) {
  const ImageSize size = reader.open(index);
  Region region;
  reader.decode({0, 0, size.height, size.width}, 1, region);
  return std::move(region.pixels);
}

std::shared_ptr<Dataset> select(std::shared_ptr<Dataset> dataset, std::vector<int64_t> indices) {
  for (const int64_t index : indices) {
    require(index >= 0 && index < dataset->size(),
            "select: there is no sample {} of {}",
            index,
            dataset->size());
  }
  return std::make_shared<Selected>(std::move(dataset), std::move(indices));
}

std::shared_ptr<Dataset> own_part(std::shared_ptr<Dataset> dataset,
                                  int64_t batch,
                                  const Communicator& all) {
  if (all.alone()) return dataset;
  const Part part = part_of(dataset->size(), batch, all);
  if (part.empty()) return nullptr;
  std::vector<int64_t> samples(static_cast<size_t>(part.end - part.first));
  std::iota(samples.begin(), samples.end(), part.first);
  return select(std::move(dataset), std::move(samples));
}

std::shared_ptr<Dataset> subset(std::shared_ptr<Dataset> dataset,
                                int64_t per_class,
                                uint64_t seed,
                                Stream stream) {
  std::map<int64_t, std::vector<int64_t>> of_class;
  for (int64_t i = 0; i < dataset->size(); ++i) {
    if (const int64_t label = dataset->label(i); label >= 0) of_class[label].push_back(i);
  }
  require(!of_class.empty(), "subset: the images have no labels");

  std::vector<int64_t> chosen;
  for (const auto& [label, members] : of_class) {
    // A stream per class, so that the choice doesn't depend on the other classes.
    Random random(seed, stream, {static_cast<uint64_t>(label)});
    const auto order = random_permutation(static_cast<int64_t>(members.size()), random);
    const auto count = std::min<size_t>(order.size(), static_cast<size_t>(per_class));
    for (size_t k = 0; k < count; ++k) chosen.push_back(members[order[k]]);
  }
  std::sort(chosen.begin(), chosen.end());
  return select(std::move(dataset), std::move(chosen));
}

}  // namespace previt
