#include "cli/labelled_data.h"

#include <algorithm>

#include "augment/open_dataset.h"
#include "communicator.h"
#include "error.h"
#include "failure.h"
#include "finetune/split.h"
#include "first_few.h"
#include "log.h"
#include "nearest_word.h"
#include "utf8.h"

namespace previt::cli {
namespace {

// The validation split, or nothing where the data isn't divided. A split that can't be read is an
// error: results on held-out images would be taken for results on it.
std::shared_ptr<Dataset> open_validation(const std::string& path, const std::string& cache_folder) {
  bool divided = false;
  do_on_first_rank([&] { divided = dataset_splits(path).contains(Split::val); });
  divided = !world().broadcast(divided ? "divided" : "").empty();
  return divided ? open_dataset(path, Split::val, cache_folder) : nullptr;
}

// The samples whose name is in the list, or those whose name isn't.
std::vector<int64_t> listed(const Dataset& images,
                            const std::set<std::string>& names,
                            bool in_list = true) {
  std::vector<int64_t> found;
  for (int64_t i = 0; i < images.size(); ++i) {
    if (names.contains(utf8_or_escaped(images.name(i))) == in_list) found.push_back(i);
  }
  return found;
}

// Draws where no image of the list is there; a run is not resumed with others.
StratifiedSplit split_of(const Dataset& images,
                         const std::string& path,
                         const SplitOptions& options) {
  if (options.held_out) {
    StratifiedSplit own{.train = listed(images, *options.held_out, false),
                        .held_out = listed(images, *options.held_out)};
    if (!own.held_out.empty()) return own;
  }
  return stratified_split(labels_of(images, path),
                          options.holdout,
                          options.seed,
                          options.older ? Stream::older_choice : Stream::held_out);
}

void hold_out(LabelledData& data, const std::string& path, const SplitOptions& options) {
  StratifiedSplit split = split_of(*data.train, path, options);
  require(!split.held_out.empty(),
          "{}: no validation split, and too few images of each class to hold some out",
          path);
  data.val = select(data.train, std::move(split.held_out));
  data.train = select(data.train, std::move(split.train));
  data.held_out = true;
}

std::shared_ptr<Dataset> few_of(std::shared_ptr<Dataset> images,
                                const std::string& path,
                                const SplitOptions& options) {
  if (!options.few_shot) {
    return subset(std::move(images),
                  options.per_class,
                  options.subset_seed,
                  options.older ? Stream::older_choice : Stream::few_shot);
  }
  auto found = listed(*images, *options.few_shot);
  require(!found.empty(),
          "{}: none of the {} images is there that the run trained on",
          path,
          options.few_shot->size());
  return select(std::move(images), std::move(found));
}

using Classes = std::vector<bool>;  // whether each has images

// The classes of `wanted` that `there` lacks.
std::vector<int64_t> missing(const Classes& wanted, const Classes& there) {
  std::vector<int64_t> found;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] && (i >= there.size() || !there[i])) found.push_back(static_cast<int64_t>(i));
  }
  return found;
}

std::vector<std::string> names_of(const Dataset& dataset, const std::vector<int64_t>& labels) {
  const auto all = dataset.class_names();
  std::vector<std::string> names;
  for (const int64_t label : labels) {
    const auto at = static_cast<size_t>(label);
    names.push_back(at < all.size() ? all[at] : std::to_string(label));
  }
  return names;
}

std::string names_text(const Dataset& dataset, const std::vector<int64_t>& labels) {
  return first_few(names_of(dataset, labels));
}

// "churchs (church?), gulf": unknown classes, with the training classes that may be meant.
std::string names_and_guesses(const LabelledData& data,
                              const std::vector<int64_t>& unknown,
                              const std::vector<int64_t>& learned) {
  const auto known = names_of(*data.train, learned);
  auto texts = names_of(*data.val, unknown);
  for (std::string& text : texts) {
    const std::string near = nearest_word(text, known);
    if (!near.empty()) text += fmt::format(" ({}?)", near);
  }
  return first_few(texts);
}

void require_several(const Dataset& dataset,
                     const std::vector<int64_t>& there,
                     const std::string& path) {
  if (there.size() > 1) return;
  fail(
      "{}: all images are of one class ({}), from which nothing can be learned; each class is a "
      "folder",
      path,
      names_text(dataset, there));
}

// A class that training lacks can't be scored: whatever a classifier answers is wrong.
void require_learnable(const LabelledData& data,
                       const Classes& train,
                       const Classes& val,
                       const std::string& path) {
  const Classes named(data.class_names().size(), true);
  const auto learned = missing(train, {}), unknown = missing(val, train);
  if (!unknown.empty()) {
    fail("{}: no training images of these validation classes: {}; training has {}",
         path,
         names_and_guesses(data, unknown, learned),
         names_text(*data.train, learned));
  }
  require_several(*data.train, learned, path);
  if (const auto empty = missing(named, train); !empty.empty()) {
    warn("{}: no images of {}: can't be learned", path, names_text(*data.train, empty));
  }
  if (const auto untested = missing(train, val); !untested.empty()) {
    info("{}: no validation images of {} of {} classes: {}",
         path,
         untested.size(),
         learned.size(),
         names_text(*data.train, untested));
  }
}

}  // namespace

std::vector<bool> classes_in(const Dataset& dataset, const std::string& path) {
  Classes there(dataset.class_names().size());
  for (const int64_t label : labels_of(dataset, path)) {
    const auto at = static_cast<size_t>(label);
    if (at >= there.size()) there.resize(at + 1);
    there[at] = true;
  }
  return there;
}

std::vector<int64_t> labels_of(const Dataset& dataset, const std::string& path) {
  std::vector<int64_t> labels(static_cast<size_t>(dataset.size()));
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i] = dataset.label(static_cast<int64_t>(i));
    if (labels[i] >= 0) continue;
    fail(
        "{}: {} has no label; images to classify lie in a folder for each class (in train/ and "
        "val/ "
        "where they are divided)",
        path,
        dataset.name(static_cast<int64_t>(i)));
  }
  return labels;
}

void require_several_classes(const Dataset& dataset, const std::string& path) {
  require_several(dataset, missing(classes_in(dataset, path), {}), path);
}

LabelledData open_labelled(const std::string& path,
                           const SplitOptions& options,
                           const std::string& cache_folder) {
  return with_validation(
      open_dataset(path, Split::train, cache_folder), path, options, cache_folder);
}

LabelledData with_validation(std::shared_ptr<Dataset> training,
                             const std::string& path,
                             const SplitOptions& options,
                             const std::string& cache_folder) {
  LabelledData data{.train = std::move(training), .val = open_validation(path, cache_folder)};
  if (data.val == nullptr) hold_out(data, path, options);
  const Classes train = classes_in(*data.train, path), val = classes_in(*data.val, path);
  require(data.val->class_names() == data.train->class_names(),
          "{}: training and validation split have different classes",
          path);
  require_learnable(data, train, val, path);
  if (options.per_class > 0) data.train = few_of(data.train, path, options);
  return data;
}

std::shared_ptr<Dataset> open_evaluated(const std::string& path, const std::string& cache_folder) {
  auto images = open_validation(path, cache_folder);
  const bool divided = images != nullptr;
  if (!divided) images = open_dataset(path, Split::all, cache_folder);
  labels_of(*images, path);
  info("{}: {} {} images are evaluated{}",
       path,
       divided ? "the validation split's" : "all",
       images->size(),
       divided ? "" : ", there is no validation split");
  return images;
}

std::shared_ptr<Dataset> open_held_out(const std::string& path,
                                       const std::set<std::string>& names,
                                       const std::string& cache_folder) {
  const auto images = open_dataset(path, Split::train, cache_folder);
  auto found = listed(*images, names);
  require(!found.empty(),
          "{}: none of the {} images is there that the run held out; it may have trained on all",
          path,
          names.size());
  if (found.size() < names.size()) {
    warn("{}: {} of the {} images that the run held out are not there now",
         path,
         names.size() - found.size(),
         names.size());
  }
  auto held_out = select(images, std::move(found));
  labels_of(*held_out, path);
  return held_out;
}

}  // namespace previt::cli
