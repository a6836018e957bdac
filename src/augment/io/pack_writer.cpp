#include "augment/io/pack_writer.h"

#include <filesystem>
#include <map>

#include "augment/io/hdf5_output.h"
#include "augment/io/pack_index.h"
#include "error.h"
#include "files.h"
#include "options.h"
#include "unfinished_file.h"
#include "utf8.h"

namespace previt {
namespace {

constexpr hsize_t kIndexChunk = 16384;

/// Between two commits only new chunks of pixels go to the file, so that a kill leaves the index as
/// it was. So the library must not write pages of the index when it likes.
H5Handle access_properties(const std::string& path) {
  H5Handle properties = h5_access(path);
  H5AC_cache_config_t cache;
  cache.version = H5AC__CURR_CACHE_CONFIG_VERSION;
  require(H5Pget_mdc_config(properties, &cache) >= 0, "{}: HDF5 error", path);
  cache.evictions_enabled = false;
  cache.incr_mode = H5C_incr__off;
  cache.flash_incr_mode = H5C_flash_incr__off;
  cache.decr_mode = H5C_decr__off;
  require(H5Pset_mdc_config(properties, &cache) >= 0 &&
              H5Pset_alignment(properties, kPackChunk, 4096) >= 0,
          "{}: HDF5 error",
          path);
  return properties;
}

}  // namespace

struct PackWriter::Impl {
  Impl(std::string to, const PackInfo& info);
  void add(const PackedImage& image);
  void commit();
  void finish();

  /// A growing array: what isn't written yet waits in memory.
  struct Column {
    H5Handle dataset;
    hid_t type = -1;
    hsize_t written = 0;
    std::vector<uint8_t> pending;
  };
  void create(const PackInfo& info);
  void resume(const PackInfo& info);
  void make_column(const char* name, hid_t type, hsize_t chunk);
  void open_column(const char* name, hid_t type, hsize_t written);
  template <class T>
  void append(const char* column, const T* values, size_t count);
  void flush(Column& column);
  void write(Column& column, hsize_t start, const void* data, hsize_t count);
  void write_chunk();
  ChunkTable chunk_table() const;

  const std::string path;
  UnfinishedFile unfinished;  // first, as it outlives the handles open in it
  const std::string& partial = unfinished.path();
  H5Output file;
  std::map<std::string, Column> columns;  // all but the pixels
  Column bytes;                           // pending: the chunk being filled
  uint64_t total = 0, name_total = 0;
  int64_t next_input = 0, skipped = 0, images = 0;
};

PackWriter::Impl::Impl(std::string to, const PackInfo& info)
    : path(std::move(to)), unfinished(path) {
  if (unfinished.begun()) {
    unfinished.if_unfinished(UnfinishedFile::IfUnfinished::kept);
    resume(info);
  } else {
    create(info);
  }
}

void PackWriter::Impl::create(const PackInfo& info) {
  file = H5Output(partial, H5F_ACC_TRUNC, partial, access_properties(partial));
  h5_write_text(file, "format", kPackFormat, partial);
  h5_write_text(file, "store", name_of(info.store), partial);
  h5_write_text(file, "source", info.source, partial);
  h5_write_text(file, "contents", info.contents, partial);
  h5_write_number(file, "max_side", info.max_side, partial);
  h5_write_number(file, "inputs", info.inputs, partial);
  if (info.first_input >= 0) h5_write_number(file, "first_input", info.first_input, partial);
  make_column("offsets", h5_type<uint64_t>(), kIndexChunk);
  make_column("sizes", h5_type<int32_t>(), kIndexChunk);
  make_column("labels", h5_type<int32_t>(), kIndexChunk);
  make_column("splits", h5_type<uint8_t>(), kIndexChunk);
  make_column("names", h5_type<uint8_t>(), kIndexChunk * 16);
  make_column("name_ends", h5_type<uint64_t>(), kIndexChunk);
  make_column("class_names", h5_type<uint8_t>(), kIndexChunk);
  for (const auto& name : info.class_names) append("class_names", name.c_str(), name.size() + 1);
  make_column("bytes", h5_type<uint8_t>(), kPackChunk);
  bytes = std::move(columns.at("bytes"));
  columns.erase("bytes");
  commit();
}

void PackWriter::Impl::resume(const PackInfo& info) {
  try {
    file = H5Output(partial, H5F_ACC_RDWR, partial, access_properties(partial));
    require_same(file, info, partial);
    next_input = h5_read_number(file, "next_input", partial);
    skipped = h5_read_number(file, "skipped", partial);
    images = next_input - skipped;
    const auto ends = h5_read_all<uint64_t>(file, "offsets", partial);
    const auto name_ends = h5_read_all<uint64_t>(file, "name_ends", partial);
    const auto n = static_cast<size_t>(images);
    require(n <= ends.size() && n <= name_ends.size(), "{}: damaged", partial);
    total = n == 0 ? 0 : ends[n - 1];
    name_total = n == 0 ? 0 : name_ends[n - 1];
    // A failed commit may have left more in some columns, which is then overwritten.
    open_column("offsets", h5_type<uint64_t>(), n);
    open_column("name_ends", h5_type<uint64_t>(), n);
    open_column("sizes", h5_type<int32_t>(), 2 * n);
    open_column("labels", h5_type<int32_t>(), n);
    open_column("splits", h5_type<uint8_t>(), n);
    open_column("names", h5_type<uint8_t>(), name_total);
    open_column("bytes", h5_type<uint8_t>(), total);
    bytes = std::move(columns.at("bytes"));
    columns.erase("bytes");
  } catch (const Error& e) {
    fail("{}; delete it to begin anew", e.what());
  }
  // The chunk that was being filled goes back into memory.
  const hsize_t rest = total % kPackChunk;
  bytes.written = total - rest;
  bytes.pending.resize(rest);
  if (rest == 0) return;
  const H5Handle space(H5Dget_space(bytes.dataset), H5Sclose, partial);
  const H5Handle memory(H5Screate_simple(1, &rest, nullptr), H5Sclose, partial);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &bytes.written, nullptr, &rest, nullptr);
  require(H5Dread(bytes.dataset, bytes.type, memory, space, H5P_DEFAULT, bytes.pending.data()) >= 0,
          "{}: HDF5 error",
          partial);
}

void PackWriter::Impl::make_column(const char* name, hid_t type, hsize_t chunk) {
  const hsize_t none = 0, unlimited = H5S_UNLIMITED;
  const H5Handle space(H5Screate_simple(1, &none, &unlimited), H5Sclose, partial);
  const H5Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, partial);
  H5Pset_chunk(properties, 1, &chunk);
  H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
  Column column;
  column.dataset = {
      H5Dcreate2(file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT), H5Dclose, partial};
  column.type = type;
  columns[name] = std::move(column);
}

void PackWriter::Impl::open_column(const char* name, hid_t type, hsize_t written) {
  const std::string what = partial + ": " + name;
  Column column;
  column.dataset = {H5Dopen2(file, name, H5P_DEFAULT), H5Dclose, what};
  const H5Handle space(H5Dget_space(column.dataset), H5Sclose, what);
  require(
      H5Sget_simple_extent_npoints(space) >= static_cast<hssize_t>(written), "{}: cut short", what);
  column.written = written;
  column.type = type;
  columns[name] = std::move(column);
}

template <class T>
void PackWriter::Impl::append(const char* column, const T* values, size_t count) {
  auto& pending = columns.at(column).pending;
  const auto* bytes = reinterpret_cast<const uint8_t*>(values);
  pending.insert(pending.end(), bytes, bytes + count * sizeof(T));
}

void PackWriter::Impl::write(Column& column, hsize_t start, const void* data, hsize_t count) {
  const hsize_t size = start + count;
  require(H5Dset_extent(column.dataset, &size) >= 0, "{}: HDF5 error", partial);
  if (count == 0) return;
  const H5Handle space(H5Dget_space(column.dataset), H5Sclose, partial);
  const H5Handle memory(H5Screate_simple(1, &count, nullptr), H5Sclose, partial);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, nullptr, &count, nullptr);
  require(H5Dwrite(column.dataset, column.type, memory, space, H5P_DEFAULT, data) >= 0,
          "{}: HDF5 error",
          partial);
  file.check();
}

void PackWriter::Impl::add(const PackedImage& image) {
  for (size_t done = 0; done < image.bytes.size();) {
    const size_t room = kPackChunk - bytes.pending.size();
    const size_t part = std::min(room, image.bytes.size() - done);
    const auto from = image.bytes.begin() + static_cast<int64_t>(done);
    bytes.pending.insert(bytes.pending.end(), from, from + static_cast<int64_t>(part));
    done += part;
    if (bytes.pending.size() == kPackChunk) write_chunk();
  }
  const std::string name = utf8_or_escaped(image.name);
  total += image.bytes.size();
  name_total += name.size() + 1;
  const int32_t size[2] = {static_cast<int32_t>(image.height), static_cast<int32_t>(image.width)};
  const auto label = static_cast<int32_t>(image.label);
  const uint8_t split = image.val ? 1 : 0;
  append("offsets", &total, 1);
  append("sizes", size, 2);
  append("labels", &label, 1);
  append("splits", &split, 1);
  append("names", name.c_str(), name.size() + 1);
  append("name_ends", &name_total, 1);
  ++images;
  ++next_input;
}

void PackWriter::Impl::write_chunk() {
  write(bytes, bytes.written, bytes.pending.data(), bytes.pending.size());
  bytes.written += bytes.pending.size();
  bytes.pending.clear();
}

void PackWriter::Impl::flush(Column& column) {
  const hsize_t count = column.pending.size() / H5Tget_size(column.type);
  write(column, column.written, column.pending.data(), count);
  column.written += count;
  column.pending.clear();
}

void PackWriter::Impl::commit() {
  // The unfinished chunk is written, but also kept, to be filled up.
  write(bytes, bytes.written, bytes.pending.data(), bytes.pending.size());
  for (auto& [name, column] : columns) flush(column);
  h5_write_number(file, "next_input", next_input, partial);
  h5_write_number(file, "skipped", skipped, partial);
  // Until this is done, the file may hold half an index: not enough to go on from.
  unfinished.if_unfinished(UnfinishedFile::IfUnfinished::removed);
  require(H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0, "{}: HDF5 error", partial);
  file.check();
  unfinished.if_unfinished(UnfinishedFile::IfUnfinished::kept);
}

ChunkTable PackWriter::Impl::chunk_table() const {
  ChunkTable table((total + kPackChunk - 1) / kPackChunk);
  for (size_t i = 0; i < table.size(); ++i) {
    const hsize_t at = i * kPackChunk;
    unsigned filters = 0;
    haddr_t address = 0;
    hsize_t size = 0;
    require(H5Dget_chunk_info_by_coord(bytes.dataset, &at, &filters, &address, &size) >= 0 &&
                size == kPackChunk && address != HADDR_UNDEF,
            "{}: a chunk of pixels is missing",
            partial);
    table[i] = address;
  }
  return table;
}

void PackWriter::Impl::finish() {
  commit();
  const ChunkTable chunks = chunk_table();
  columns.clear();
  bytes = {};
  file.close();
  append_trailer(partial, chunks);
  unfinished.finish();
  flush_folder(std::filesystem::absolute(path).parent_path().string());
}

PackWriter::PackWriter(const std::string& path, const PackInfo& info)
    : impl_(std::make_unique<Impl>(path, info)) {}
PackWriter::~PackWriter() = default;

int64_t PackWriter::next_input() const { return impl_->next_input; }
int64_t PackWriter::skipped() const { return impl_->skipped; }
int64_t PackWriter::images() const { return impl_->images; }
uint64_t PackWriter::total_bytes() const { return impl_->total; }
void PackWriter::add(const PackedImage& image) { impl_->add(image); }
void PackWriter::commit() { impl_->commit(); }
void PackWriter::finish() { impl_->finish(); }
void PackWriter::skip() {
  ++impl_->skipped;
  ++impl_->next_input;
}

}  // namespace previt
