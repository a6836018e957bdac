#include "commands/attention_maps.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>

#include "augment/io/tensor_file.h"
#include "augment/io/video.h"
#include "cli/backbone.h"
#include "cli/frames.h"
#include "clocks.h"
#include "commands/attention_pictures.h"
#include "commands/attention_scores.h"
#include "error.h"
#include "files.h"
#include "finetune/pictures/attention_maps.h"
#include "log.h"
#include "memory.h"
#include "models/kernels/precision.h"
#include "models/weights/finite.h"
#include "progress.h"

namespace previt::cli {
namespace {

struct MapsJob {
  std::string out, images, masks, video;
  int64_t block = -1;
  bool rollout = false;
  double threshold = 0.6, rate = 25;
  int64_t limit = 0, pictures = 0;

  static MapsJob read(const po::variables_map& args) {
    const auto word = [&](const char* name) {
      return args.count(name) > 0 ? args[name].as<std::string>() : std::string();
    };
    const auto number = [&](const char* name) { return args[name].as<int64_t>(); };
    MapsJob job{.out = word("out"),
                .images = word("images"),
                .masks = word("masks"),
                .video = word("video"),
                .block = number("block"),
                .rollout = args.count("rollout") > 0,
                .threshold = args["threshold"].as<double>(),
                .rate = args["fps"].as<double>(),
                .limit = number("limit"),
                .pictures = number("pictures")};
    if (!(job.threshold > 0 && job.threshold <= 1)) {
      fail_usage("--threshold: {} is not in (0, 1]", job.threshold);
    }
    if (job.limit < 0) fail_usage("--limit: {} is not in [0, inf)", job.limit);
    if (job.pictures < 0) fail_usage("--pictures: {} is not in [0, inf)", job.pictures);
    if (!(job.rate > 0)) fail_usage("--fps: {} is not in (0, inf)", job.rate);
    // A video is of all images, so pictures are too, unless --pictures is given.
    if (!job.video.empty() && args["pictures"].defaulted()) {
      job.pictures = std::numeric_limits<int64_t>::max();
    }
    if (job.rollout && !args["block"].defaulted()) {
      fail_usage("--block: --rollout goes through all blocks; give one of the two");
    }
    return job;
  }
};

void make_folders(const std::string& out) {
  for (const char* folder : {"/overlays", "/masks"}) make_folder(out + folder);
}

// Goes through the images and writes everything about them.
class Tour {
 public:
  Tour(const MapsJob& job, const Backbone& backbone)
      : job_(job),
        backbone_(backbone),
        dataset_(in_natural_order(open_pictures(job.images, Split::all))),
        reader_(dataset_,
                std::min(backbone.height, backbone.width),
                backbone.vit->options().patch_size),
        file_((make_folders(job.out), job.out + "/attention.h5")),
        scores_(dataset_, job.masks, images()) {
    if (!job.video.empty()) video_.emplace(job.video, job.rate);
    file_.describe("model", backbone.loaded.source);
    file_.describe("what", what());
  }

  void run() {
    const int64_t count = images();
    Progress progress;
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < count; ++i) {
      visit(i);
      progress.update({.step = i + 1,
                       .total_steps = count,
                       .images_per_second = static_cast<double>(i + 1) / seconds_since(start),
                       .task = "attention"});
    }
    require(!names_.empty(), "{}: none of {} images can be read", job_.images, count);
    file_.write_texts("names", names_);
    file_.finish();
    if (video_) video_->finish();
    sheet_.write(job_.out, what() + scores_.note());
    if (static_cast<int64_t>(names_.size()) > job_.pictures) {
      info("pictures of the first {} of {} images; --pictures for more", job_.pictures, count);
    }
  }

  nlohmann::ordered_json result() const {
    nlohmann::ordered_json result = {{"images", names_.size()},
                                     {"skipped_images", skipped_images_},
                                     {"skipped_masks", scores_.skipped()},
                                     {"heads", heads_},
                                     {"attention", what()},
                                     {"threshold", job_.threshold}};
    result.update(scores_.json());
    return result;
  }

 private:
  std::string what() const {
    if (job_.rollout) return "rollout of all blocks";
    const int64_t depth = backbone_.vit->options().depth;
    return fmt::format("block {} (of 0 to {})",  // as --block counts
                       job_.block < 0 ? job_.block + depth : job_.block,
                       depth - 1);
  }

  int64_t images() const {
    return job_.limit > 0 ? std::min(job_.limit, dataset_->size()) : dataset_->size();
  }

  void visit(int64_t index) {
    const std::string name = dataset_->name(index);
    Attended image;
    if (!attend(image, index)) {
      ++skipped_images_;
      return;
    }
    const auto number = static_cast<int64_t>(names_.size());
    image.name = picture_name(number, name);
    file_.write(fmt::format("maps/{:06}", number), image.maps);
    names_.push_back(name);
    scores_.add(image, index, reader_);
    if (number < job_.pictures) write_pictures(job_.out, image);
    if (!sheet_.full()) sheet_.add(image);
    if (video_) video_->add(side_by_side(image));
  }

  // Returns whether the image could be read and looked at; warns why not.
  bool attend(Attended& image, int64_t index) {
    std::string reason =
        "left out: takes more memory than there is; a smaller --image-size needs less";
    try {
      if (!fits(reader_.size(index))) throw std::bad_alloc();
      image.picture = reader_.read(index);
      look(image);
      return true;
    } catch (const Error& error) {
      reason = error.what();
    } catch (const c10::OutOfMemoryError&) {
    } catch (const std::bad_alloc&) {
    }
    warn("{}: {}", dataset_->name(index), reason);
    return false;
  }

  // The system may promise more memory than it has; afterwards it is too late to ask.
  bool fits(const ImageSize& picture) const {
    const auto& model = backbone_.vit->options();
    const double tokens =
        static_cast<double>(picture.height / model.patch_size * (picture.width / model.patch_size));
    const double maps = 2 * static_cast<double>(model.num_heads) + 4;  // held at a time
    const int64_t most = obtainable_memory();
    return !backbone_.device().is_cpu() || most == 0 ||
           maps * tokens * tokens * sizeof(float) < static_cast<double>(most);
  }

  void look(Attended& image) {
    const ComputeTypeGuard compute(backbone_.type);
    Vit& vit = *backbone_.vit;
    const at::Tensor input =
        normalize(image.picture.unsqueeze(0), backbone_.loaded.normalize, backbone_.device());
    const at::Tensor maps = job_.rollout ? attention_rollout(vit, input)
                                         : previt::attention_maps(vit, input, job_.block);
    image.maps = maps[0].to(torch::kFloat32).cpu();
    require_finite({{"the attention", image.maps}}, backbone_.loaded.source);
    image.masks = mass_mask(image.maps, job_.threshold);
    heads_ = image.maps.size(0);
  }

  const MapsJob& job_;
  const Backbone& backbone_;
  std::shared_ptr<Dataset> dataset_;
  FrameReader reader_;
  TensorFileWriter file_;
  AttentionScores scores_;
  std::optional<VideoWriter> video_;
  AttentionSheet sheet_;
  std::vector<std::string> names_;  // of the images with maps, which are numbered like this
  int64_t heads_ = 0, skipped_images_ = 0;
};

}  // namespace

po::options_description attention_maps_options() {
  po::options_description options("Options");
  add_backbone_options(options);
  add_model_option(options);
  auto add = options.add_options();
  add("images",
      po::value<std::string>()->required(),
      "an image, a folder of images (or of frames), .h5 pack or synthetic:SPEC; the short side is "
      "resized to --image-size");
  add("out",
      po::value<std::string>()->required(),
      "folder for pictures, attention.h5, result.json");
  add("block", po::value<int64_t>()->default_value(-1), "which block: 0 is the first, -1 the last");
  add("rollout", "attention rollout through all blocks instead of one block's heads");
  add("threshold",
      po::value<double>()->default_value(0.6, "0.6"),
      "share of the attention that a mask keeps");
  add("masks",
      po::value<std::string>(),
      "folder of object masks laid out or named as the images (not black: object), to score the "
      "heads against; synthetic: scenes have their own");
  add("pictures",
      po::value<int64_t>()->default_value(100),
      "images of which pictures are written; with --video all unless given");
  add("limit", po::value<int64_t>()->default_value(0), "images that are looked at; 0: all");
  add("video", po::value<std::string>(), "also the images in order as a video, .avi or .mp4");
  add("fps", po::value<double>()->default_value(25), "frames a second of the video");
  return options;
}

int attention_maps(const po::variables_map& args) {
  const MapsJob job = MapsJob::read(args);
  const Backbone backbone = load_backbone(args);
  const int64_t depth = backbone.vit->options().depth;
  if (job.block >= depth || job.block < -depth) {
    fail_usage("--block: {} is not in [{}, {}]; 0 is the first block, -1 the last",
               job.block,
               -depth,
               depth - 1);
  }
  Tour tour(job, backbone);
  tour.run();
  write_result(args, tour.result());
  return 0;
}

}  // namespace previt::cli
