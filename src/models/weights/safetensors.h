#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>

namespace previt {

using NamedTensors = std::map<std::string, at::Tensor>;

/// A safetensors file: named tensors and a string-to-string header. Source of the layout: the
/// README of huggingface/safetensors.
struct SafeTensors {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata;
};

/// Tensors own their memory; query, key and value of an attention lie in one block, a third each,
/// as split_qkv() joins them. Throws Error, led by the path, for anything that is not a whole and
/// consistent safetensors file. With `wanted`, only tensors of such names are read. Takes little
/// more memory than they do.
SafeTensors read_safetensors(const std::string& path,
                             const std::function<bool(const std::string&)>& wanted = {});
/// The same from bytes in memory; `name` leads errors.
SafeTensors parse_safetensors(const std::string& bytes, const std::string& name);

/// Writes a file and flushes it to disk. It appears under its name only once it is whole
/// (unfinished_file.h). Throws Error led by the path.
void write_safetensors(const std::string& path,
                       const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace previt
