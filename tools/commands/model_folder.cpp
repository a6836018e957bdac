#include "commands/model_folder.h"

#include "commands/model_card.h"
#include "files.h"
#include "json_text.h"
#include "models/weights/write_pth.h"

namespace previt::cli {

ForeignModel write_model_files(const std::string& folder, const OutgoingModel& out) {
  ForeignModel files = out.format->write(out.model);
  const auto write_json = [&](const char* name, const nlohmann::json& value) {
    if (!value.is_null()) write_whole_file(folder + "/" + name, json_text(value, 2) + "\n");
  };
  if (files.pickled) {
    auto dicts = files.others;
    dicts[files.key] = files.state_dict();
    write_pth(folder + "/" + kTorchFile, dicts, files.config);
  } else {
    write_safetensors(folder + "/model.safetensors", files.state_dict(), files.metadata);
    write_json("config.json", files.config);
    write_json("preprocessor_config.json", files.preprocessor);
  }
  write_whole_file(folder + "/README.md", model_card(out, files));
  return files;
}

}  // namespace previt::cli
