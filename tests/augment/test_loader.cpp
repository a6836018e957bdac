#include <set>

#include "augment/loader.h"
#include "augment/open_dataset.h"
#include "augment/sample_renderer.h"
#include "error.h"
#include "support/catch.h"

using namespace previt;

namespace {

ViewSpec small_view(int64_t side) {
  ViewSpec spec;
  spec.height = spec.width = side;
  return spec;
}

LoaderOptions options_of(int64_t batch, int64_t workers) {
  LoaderOptions options;
  options.batch = batch;
  options.workers = workers;
  options.seed = 5;
  return options;
}

bool same(const Batch& a, const Batch& b) {
  if (a.views.size() != b.views.size() || a.epoch != b.epoch) return false;
  for (size_t v = 0; v < a.views.size(); ++v) {
    if (!torch::equal(a.views[v], b.views[v])) return false;
  }
  return torch::equal(a.labels, b.labels) && torch::equal(a.indices, b.indices);
}

/// Every pixel of sample i is i; samples in `bad` can't be opened, odd ones of them can't be
/// decoded.
class Flat final : public Dataset {
 public:
  Flat(int64_t size, std::set<int64_t> bad) : size_(size), bad_(std::move(bad)) {}
  int64_t size() const override { return size_; }
  int64_t label(int64_t i) const override { return i % 3; }
  std::string name(int64_t i) const override { return fmt::format("picture{}", i); }

  std::unique_ptr<SampleReader> reader() const override {
    struct Reader final : SampleReader {
      explicit Reader(const Flat& data) : data(data) {}
      ImageSize open(int64_t i) override {
        index = i;
        require(data.bad_.count(i) == 0 || i % 2 == 1, "not an image");
        return {8, 8};
      }
      void decode(const Box&, int64_t, Region& region) override {
        require(data.bad_.count(index) == 0, "cut short");
        region.pixels = Image(8, 8);
        std::fill(region.pixels.pixels.begin(), region.pixels.pixels.end(), index);
        region.box = {0, 0, 8, 8};
      }
      const Flat& data;
      int64_t index = 0;
    };
    return std::make_unique<Reader>(*this);
  }

 private:
  int64_t size_;
  std::set<int64_t> bad_;
};

}  // namespace

TEST_CASE("batches don't depend on the number of threads") {
  const auto data = open_dataset("synthetic:shapes,size=24,count=50");
  auto global = small_view(16);
  global.count = 2;
  auto local = small_view(8);
  local.jitter = 0.8;
  const auto one = make_loader(data, {global, local}, options_of(8, 1));
  auto options = options_of(8, 5);
  options.prefetch = 2;
  const auto many = make_loader(data, {global, local}, options);
  for (int i = 0; i < 14; ++i) {
    const Batch a = one->next(), b = many->next();
    REQUIRE(a.views.size() == 3);
    CHECK(a.views[0].sizes() == at::IntArrayRef({8, 3, 16, 16}));
    CHECK(a.views[2].sizes() == at::IntArrayRef({8, 3, 8, 8}));
    CHECK(a.views[0].is_contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(a.views[0].scalar_type() == at::kByte);
    CHECK(a.epoch == i / 6);
    CHECK(same(a, b));
  }
}

TEST_CASE("an epoch holds each sample once, in another order the next time") {
  const auto data = std::make_shared<Flat>(20, std::set<int64_t>{});
  auto options = options_of(6, 2);
  options.drop_last = false;
  const auto loader = make_loader(data, {small_view(8)}, options);
  CHECK(loader->batches_per_epoch() == 4);
  std::vector<std::vector<int64_t>> epochs(2);
  for (auto& epoch : epochs) {
    for (int b = 0; b < 4; ++b) {
      const Batch batch = loader->next();
      CHECK(batch.indices.size(0) == (b < 3 ? 6 : 2));
      for (int64_t i = 0; i < batch.indices.size(0); ++i) {
        const auto index = batch.indices[i].item<int64_t>();
        epoch.push_back(index);
        CHECK(batch.labels[i].item<int64_t>() == index % 3);
        CHECK(batch.views[0][i].to(torch::kLong).eq(index).all().item<bool>());
      }
    }
  }
  CHECK(epochs[0] != epochs[1]);
  for (auto& epoch : epochs) {
    std::sort(epoch.begin(), epoch.end());
    for (int64_t i = 0; i < 20; ++i) CHECK(epoch[i] == i);
  }
}

TEST_CASE("seek finds any position again") {
  const auto data = open_dataset("synthetic:shapes,size=16,count=30");
  const auto loader = make_loader(data, {small_view(16)}, options_of(7, 2));
  std::vector<Batch> batches;
  for (int i = 0; i < 9; ++i) batches.push_back(loader->next());
  for (const int64_t i : {5, 0, 8}) {
    loader->seek(i / 4, i % 4);
    CHECK(same(loader->next(), batches[i]));
    if (i < 8) CHECK(same(loader->next(), batches[i + 1]));
  }
  const auto fresh = make_loader(data, {small_view(16)}, options_of(7, 1));
  fresh->seek(1, 2);
  CHECK(same(fresh->next(), batches[6]));
}

TEST_CASE("an epoch ends after whole steps, of which a batch is a part") {
  const auto data = std::make_shared<Flat>(23, std::set<int64_t>{});
  auto options = options_of(4, 2);
  options.step = 8;
  const auto loader = make_loader(data, {small_view(8)}, options);
  CHECK(loader->batches_per_epoch() == 4);  // 2 steps; a fifth batch would make half of one
  std::vector<Batch> batches;
  for (int b = 0; b < 6; ++b) {
    batches.push_back(loader->next());
    CHECK(batches.back().epoch == b / 4);
    CHECK(batches.back().indices.size(0) == 4);
  }
  loader->seek(1, 1);
  CHECK(same(loader->next(), batches[5]));
  // The images are those of an epoch that is cut otherwise.
  CHECK(same(make_loader(data, {small_view(8)}, options_of(4, 1))->next(), batches[0]));

  options.drop_last = false;
  CHECK(make_loader(data, {small_view(8)}, options)->batches_per_epoch() == 6);
}

TEST_CASE("without shuffling the order is the dataset's, and repeats cut anew") {
  const auto data = open_dataset("synthetic:shapes,size=24,count=6");
  auto options = options_of(6, 2);
  options.shuffle = false;
  options.repeats = 2;
  const auto loader = make_loader(data, {small_view(16)}, options);
  CHECK(loader->batches_per_epoch() == 2);
  const Batch a = loader->next(), b = loader->next();
  CHECK(torch::equal(a.indices, torch::arange(6)));
  CHECK(torch::equal(b.indices, torch::arange(6)));
  CHECK(!torch::equal(a.views[0], b.views[0]));
  CHECK(loader->next().epoch == 1);
}

TEST_CASE("repeated augmentation brings an image three times, cut anew, whatever the threads") {
  const auto data = open_dataset("synthetic:shapes,size=24,count=300");
  auto options = options_of(8, 1);
  options.copies = 3;
  const auto one = make_loader(data, {small_view(16)}, options);
  options.workers = 4;
  const auto many = make_loader(data, {small_view(16)}, options);
  CHECK(one->samples_per_epoch() == 256);
  CHECK(one->batches_per_epoch() == 32);
  std::vector<Batch> batches;
  for (int i = 0; i < 3; ++i) {
    batches.push_back(one->next());
    CHECK(same(batches.back(), many->next()));
  }
  const Batch& first = batches.front();
  for (const int64_t i : {0, 3}) {
    CHECK(first.indices.slice(0, i, i + 3).eq(first.indices[i]).all().item<bool>());
    CHECK(!torch::equal(first.views[0][i], first.views[0][i + 1]));
    CHECK(!torch::equal(first.views[0][i], first.views[0][i + 2]));
  }
  CHECK(torch::equal(first.indices[6], batches[1].indices[0]));  // a group may cross batches
  many->seek(0, 1);
  CHECK(same(many->next(), batches[1]));
  CHECK(same(many->next(), batches[2]));
}

TEST_CASE("unreadable samples are replaced, counted and named once") {
  const auto data = std::make_shared<Flat>(40, std::set<int64_t>{4, 5, 17});
  auto options = options_of(8, 3);
  options.shuffle = false;
  std::vector<std::string> log;
  const auto loader = make_loader(
      data, {small_view(8)}, options, [&](const std::string& line) { log.push_back(line); });
  const Batch first = loader->next();
  CHECK(torch::equal(first.indices, torch::tensor({0, 1, 2, 3, 6, 6, 6, 7}, torch::kLong)));
  CHECK(first.views[0][5].eq(6).all().item<bool>());
  CHECK(first.labels[4].item<int64_t>() == 0);
  CHECK(loader->bad_samples() == 2);
  for (int i = 0; i < 9; ++i) loader->next();
  CHECK(loader->bad_samples() == 3);
  CHECK(log == std::vector<std::string>{"picture4: not an image; skipped",
                                        "picture5: cut short; skipped",
                                        "picture17: cut short; skipped"});
}

TEST_CASE("too many unreadable samples end the run") {
  std::set<int64_t> bad;
  for (int64_t i = 0; i < 40; i += 5) bad.insert(i);
  const auto data = std::make_shared<Flat>(40, bad);
  auto options = options_of(10, 2);
  options.shuffle = false;
  const auto loader = make_loader(data, {small_view(8)}, options);
  loader->next();
  loader->next();
  CHECK_THROWS_WITH(
      loader->next(),
      "6 of 30 images are unreadable, more than data.max_bad_fraction 0.1 allows; the "
      "last is picture25: cut short");

  std::set<int64_t> all;
  for (int64_t i = 0; i < 1001; ++i) all.insert(i);
  const auto none =
      make_loader(std::make_shared<Flat>(1001, all), {small_view(8)}, options_of(1, 1));
  CHECK_THROWS_WITH(none->next(), ContainsSubstring("no image of 1000 in a row is readable"));
}

TEST_CASE("a loader that can't give a batch says so at once") {
  const auto data = open_dataset("synthetic:shapes,size=8,count=5");
  CHECK_THROWS_WITH(make_loader(data, {small_view(8)}, options_of(6, 1)),
                    "train.batch: 6 is more than the 5 images of the data; make it smaller or set "
                    "train.drop_last=false");
  auto keep = options_of(6, 1);
  keep.drop_last = false;
  CHECK(make_loader(data, {small_view(8)}, keep)->next().indices.size(0) == 5);
}

TEST_CASE("an error in the views reaches the caller") {
  const auto data = open_dataset("synthetic:shapes,size=8,count=5");
  auto spec = small_view(16);
  spec.crop = CropKind::none;
  const auto loader = make_loader(data, {spec}, options_of(2, 2));
  CHECK_THROWS_AS(loader->next(), Error);
}

TEST_CASE("decoding may be coarser only when every view has pixels to spare") {
  const auto reduction = [](int64_t window, int64_t view, CropKind crop) {
    ViewSpec spec = small_view(view);
    spec.crop = crop;
    ViewPlan plan;
    plan.crop.window = {0, 0, static_cast<double>(window), static_cast<double>(window)};
    return allowed_reduction({spec}, {plan});
  };
  CHECK(reduction(447, 224, CropKind::random_resized) == 1);
  CHECK(reduction(448, 224, CropKind::random_resized) == 2);
  CHECK(reduction(1791, 224, CropKind::random_resized) == 4);
  CHECK(reduction(100000, 224, CropKind::random_resized) == 8);
  CHECK(reduction(895, 224, CropKind::center) == 1);
  CHECK(reduction(896, 224, CropKind::center) == 2);
}

TEST_CASE("processes get every so many-th batch of the same order, from any position") {
  constexpr int64_t kProcesses = 3;
  LoaderOptions options = options_of(2, 1);
  options.step = 6;
  const auto dataset = std::make_shared<Flat>(26, std::set<int64_t>{});  // 4 steps, 2 left out
  const auto whole = make_loader(dataset, {small_view(8)}, options);
  std::vector<Batch> expected;
  for (int64_t i = 0; i < 30; ++i) expected.push_back(whole->next());
  options.of = kProcesses;
  for (options.rank = 0; options.rank < kProcesses; ++options.rank) {
    const auto share = make_loader(dataset, {small_view(8)}, options);
    CHECK(share->batches_per_epoch() == whole->batches_per_epoch());
    const auto give_from = [&](int64_t first) {
      for (int64_t i = first + options.rank; i < 30; i += kProcesses) {
        CHECK(same(share->next(), expected[i]));
      }
    };
    give_from(0);
    share->seek(1, 3);
    give_from(whole->batches_per_epoch() + 3);
  }
}

TEST_CASE("batches that processes can't share evenly are refused") {
  LoaderOptions options = options_of(2, 1);
  options.step = 4;
  options.of = 3;
  const auto dataset = std::make_shared<Flat>(12, std::set<int64_t>{});
  CHECK_THROWS_WITH(make_loader(dataset, {small_view(8)}, options),
                    ContainsSubstring("can't be shared by 3 processes"));
}
