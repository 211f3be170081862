// A contiguous row-major array: a shape over a counted reference to storage. Views share the storage.
#pragma once

#include <initializer_list>
#include <utility>

#include "memory.h"
#include "types.h"

namespace dlcore::DLCORE_DEVICE {

struct Shape {
  int ndim = 0;
  Index dims[max_ndim] = {};

  Shape() = default;
  Shape(std::initializer_list<Index> sizes) {
    for (const Index size : sizes) dims[ndim++] = size;
  }
  Index& operator[](int axis) { return dims[axis]; }
  Index operator[](int axis) const { return dims[axis]; }
  void append(Index size) { dims[ndim++] = size; }
  bool operator==(const Shape& other) const {
    if (ndim != other.ndim) return false;
    for (int i = 0; i < ndim; ++i)
      if (dims[i] != other.dims[i]) return false;
    return true;
  }
  // Product of dims[begin..end); trusts that the whole product was checked when the array was made.
  Index product(int begin, int end) const {
    Index n = 1;
    for (int i = begin; i < end; ++i) n *= dims[i];
    return n;
  }
  Index size() const { return product(0, ndim); }
};

class Array {
 public:
  Array() = default;

  // Uninitialised. The caller (the binding) has checked that the size in bytes fits; throws OutOfMemory.
  static Array empty(const Shape& shape, DType dtype) {
    return Array(allocate_storage(static_cast<std::size_t>(shape.size() * item_size(dtype))), 0, shape, dtype);
  }
  static Array adopt(Storage* storage, const Shape& shape, DType dtype) { return Array(storage, 0, shape, dtype); }

  Array(const Array& other) : Array(other.storage_, other.offset_, other.shape_, other.dtype_) {
    if (storage_) storage_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Array(Array&& other) noexcept
      : storage_(std::exchange(other.storage_, nullptr)),
        offset_(other.offset_),
        shape_(other.shape_),
        dtype_(other.dtype_) {}
  Array& operator=(Array other) noexcept {
    std::swap(storage_, other.storage_);
    offset_ = other.offset_;
    shape_ = other.shape_;
    dtype_ = other.dtype_;
    return *this;
  }
  ~Array() {
    if (storage_) release_storage(storage_);
  }

  // The elements from `offset` on, seen with another shape.
  Array view(Index offset, const Shape& shape) const {
    Array result(*this);
    result.offset_ += offset;
    result.shape_ = shape;
    return result;
  }

  const Shape& shape() const { return shape_; }
  Index shape(int axis) const { return shape_[axis]; }
  int ndim() const { return shape_.ndim; }
  Index size() const { return shape_.size(); }
  DType dtype() const { return dtype_; }
  Index bytes() const { return size() * item_size(dtype_); }
  void* raw() const { return static_cast<char*>(storage_->data) + offset_ * item_size(dtype_); }
  template <typename T> T* data() const { return static_cast<T*>(raw()); }
  bool valid() const { return storage_ != nullptr; }
  const Storage* storage() const { return storage_; }

 private:
  Array(Storage* storage, Index offset, const Shape& shape, DType dtype)
      : storage_(storage), offset_(offset), shape_(shape), dtype_(dtype) {}

  Storage* storage_ = nullptr;
  Index offset_ = 0;  // in elements
  Shape shape_;
  DType dtype_ = DType::float32;
};

}  // namespace dlcore::DLCORE_DEVICE
