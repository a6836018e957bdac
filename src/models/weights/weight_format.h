#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "models/weights/foreign_model.h"
#include "models/weights/load_model.h"

namespace previt {

/// How one code base stores Vision Transformers. A format is one file in formats/ and one line in
/// weight_formats().
class WeightFormat {
 public:
  virtual ~WeightFormat() = default;

  virtual std::string name() const = 0;

  /// Of authors whose files are made by torch.save, their repository, as "facebookresearch/mae";
  /// "" for formats with folders of their own.
  virtual std::string code_base() const { return ""; }

  /// The weight by which a network of this code base is found in a state_dict.
  virtual std::string patch_embed() const { return kPatchEmbed; }

  /// Whether the model is of this format. Formats are asked in the order of weight_formats(), the
  /// more special one first.
  virtual bool recognises(const ForeignModel& model) const = 0;

  /// The model's tensors under our names. By default, all names that any official code writes are
  /// read, since files mix them.
  virtual NamedWeights named(const ForeignModel& model) const;

  /// How this code base resizes positions (VitOptions::pos_resize).
  virtual ResizeConvention pos_resize(const ForeignModel& /*model*/) const {
    return ResizeConvention::mae;
  }

  /// Whether all networks of the authors' sizes have the number of heads usual for their width, so
  /// that it need not be in doubt where a file doesn't say it.
  virtual bool usual_heads() const { return false; }

  /// Throws Error, led by the model's place, for a network that our Vision Transformer could use
  /// only in part.
  virtual LoadedModel read(const ForeignModel& model, const LoadHints& hints) const;

  /// Whether a network of this code base loads the tensor `name` of `extra` too.
  virtual bool has_place(const LoadedModel& /*model*/, const std::string& /*name*/) const {
    return true;
  }

  /// The model's weights and `extra` as this code base stores them (our own files hold weights
  /// alone). `read` makes the same options and tensors of it. Throws Error for an option that the
  /// code base does not have, or that would be read as another.
  ForeignModel write(const LoadedModel& model) const;

 protected:
  /// What write returns. The model's options are resolved; besides sizes, only those of says()
  /// differ from their defaults.
  virtual ForeignModel foreign(const LoadedModel& model) const = 0;

  /// The options (VitOptions' fields) that the code base has a choice in, besides the sizes. All
  /// others must have their default values.
  virtual std::set<std::string> says(const LoadedModel& model) const = 0;
};

/// All formats in the order in which they are asked.
const std::vector<std::unique_ptr<WeightFormat>>& weight_formats();

/// The first that recognises the model. Throws Error, led by the model's place, if none does.
const WeightFormat& format_of(const ForeignModel& model);

/// The authors' own layout for a model: that of the files or of the run that it comes from, else
/// the first that recognises its weights.
const WeightFormat& official_format(const LoadedModel& model);

/// The format of this name. Throws UsageError that lists all names.
const WeightFormat& format_named(const std::string& name);

}  // namespace previt
