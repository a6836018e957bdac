#include <filesystem>

#include "augment/io/tensor_file.h"
#include "error.h"
#include "files.h"
#include "support/catch.h"
#include "support/full_disk.h"
#include "support/hdf5_texts.h"
#include "support/temp_folder.h"

using namespace previt;

TEST_CASE("tensors, texts and descriptions come back from an HDF5 file as they were") {
  const TempFolder temp;
  const std::string path = temp.path() + "/f.h5";
  const at::Tensor maps = torch::randn({2, 3, 4});
  const at::Tensor rows = torch::arange(25).view({5, 5});
  {
    TensorFileWriter file(path);
    file.write("maps/000001", maps);
    file.write("bytes", torch::arange(9).to(torch::kUInt8));
    file.append("rows", rows.slice(0, 0, 2));
    file.append("rows", rows.slice(0, 2, 5));
    file.write_texts("names", {"a.jpg", "", "täuschend ähnlich.png"});
    file.write_texts("none", {});
    file.describe("model", "a model");
    CHECK_FALSE(std::filesystem::exists(path));
    file.finish();
  }
  const TensorFileReader file(path);
  CHECK(torch::equal(file.read("maps/000001"), maps));
  CHECK(torch::equal(file.read("rows"), rows));
  CHECK(file.read("bytes").scalar_type() == torch::kUInt8);
  CHECK(hdf5_texts(path, "names") ==
        std::vector<std::string>{"a.jpg", "", "täuschend ähnlich.png"});
  CHECK(hdf5_texts(path, "none").empty());
  CHECK(file.description("model") == "a model");
  CHECK_THROWS_WITH(file.read("other"), path + ": has no other");
}

TEST_CASE("what was not finished is removed, what is no HDF5 file is refused") {
  const TempFolder temp;
  const std::string path = temp.path() + "/f.h5";
  {
    TensorFileWriter file(path);
    file.write("rows", torch::zeros({2}));
    file.append("growing", torch::zeros({2, 2}));
    CHECK_THROWS_WITH(file.append("growing", torch::zeros({2, 3})),
                      ContainsSubstring("rows of another shape"));
    CHECK_THROWS_WITH(file.write("double", torch::zeros({2}, torch::kFloat64)),
                      ContainsSubstring("Double"));
  }
  CHECK(std::filesystem::is_empty(temp.path()));
  write_whole_file(path, "not HDF5");
  CHECK_THROWS_WITH(TensorFileReader(path), path + ": not an HDF5 file that can be read");
  CHECK_THROWS_WITH(TensorFileWriter("/no/such/folder/f.h5"),
                    "/no/such/folder/f.h5: No such file or directory");
}

TEST_CASE("a full disk is an error that names the file, wherever it fills, and leaves nothing") {
  const TempFolder temp;
  const std::string path = temp.path() + "/f.h5";
  const at::Tensor rows = torch::randn({3000, 16});
  const auto write = [&] {
    TensorFileWriter file(path);
    file.describe("model", "a model");
    for (int64_t i = 0; i < 3000; i += 100) file.append("rows", rows.slice(0, i, i + 100));
    for (int i = 0; i < 40; ++i) file.write(fmt::format("maps/{}", i), rows.slice(0, 0, 50));
    file.write_texts("names", std::vector<std::string>(500, "a/long/name.jpg"));
    file.finish();
  };
  write();
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path));
  std::filesystem::remove(path);
  for (int64_t room = 0; room < size; room += room < 8192 ? 512 : 40000) {
    INFO(room << " of " << size);
    {
      const test::FullDisk disk(room);
      CHECK_THROWS_WITH(write(), ContainsSubstring(path) && ContainsSubstring("File too large"));
    }
    CHECK(std::filesystem::is_empty(temp.path()));
  }
  const test::FullDisk disk(size);
  write();
  CHECK(torch::equal(TensorFileReader(path).read("rows"), rows));
}

TEST_CASE(
    "a header that claims more values than the file could hold is damage, not a reason to "
    "allocate") {
  const TempFolder temp;
  const std::string path = temp.path() + "/f.h5";
  {
    // Chunks that were never written take no room, so that a small file can claim any extent.
    const H5Handle file(
        H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, path);
    const hsize_t count = hsize_t{1} << 50, chunk = 64;
    const H5Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, path);
    H5Pset_chunk(layout, 1, &chunk);
    const H5Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose, path);
    const H5Handle dataset(
        H5Dcreate2(file, "rows", H5T_NATIVE_INT64, space, H5P_DEFAULT, layout, H5P_DEFAULT),
        H5Dclose,
        path);
    const H5Handle none(H5Screate(H5S_NULL), H5Sclose, path);
    const H5Handle text(H5Acreate2(file, "model", H5T_NATIVE_UINT8, none, H5P_DEFAULT, H5P_DEFAULT),
                        H5Aclose,
                        path);
  }
  const TensorFileReader file(path);
  CHECK_THROWS_WITH(file.read("rows"), path + ": rows: damaged");
  CHECK_THROWS_WITH(file.description("model"), path + ": model: damaged");
  const H5Handle raw = h5_open(path, "can't be opened");
  CHECK_THROWS_WITH(h5_read_all<int64_t>(raw, "rows", path), path + ": rows: damaged");
}
