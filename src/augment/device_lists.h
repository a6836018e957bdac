#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

namespace previt {

/// Lists of numbers that go from the host to a device in one copy: they are written down first,
/// and can be read once upload() was called.
class DeviceLists {
  struct Uploaded {
    at::Tensor numbers, indices;  // all lists: float32, int64
  };

 public:
  /// One of the lists, of n numbers. It stays readable when the DeviceLists is gone.
  class List {
   public:
    at::Tensor numbers() const;  ///< float32 [n] on the device
    at::Tensor indices() const;  ///< int64 [n] there, of whole numbers
    int64_t size() const { return size_; }

   private:
    friend class DeviceLists;
    std::shared_ptr<const Uploaded> uploaded_;
    int64_t first_ = 0, size_ = 0;
  };

  List add(const std::vector<double>& numbers);
  /// Takes all lists to `device`; the host doesn't wait. To be called once, after the last add().
  void upload(at::Device device);

 private:
  std::vector<double> numbers_;
  std::shared_ptr<Uploaded> uploaded_ = std::make_shared<Uploaded>();
};

}  // namespace previt
