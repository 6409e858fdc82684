// Memory that grows, aligned for vectors, never initialised and never shrunk.
#pragma once
#include <cstddef>
#include <new>

namespace splats {

template <class T>
class Buffer {
  public:
    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { release(); }

    // Room for `size` elements; what was there is lost when it grows.
    T *reserve(size_t size) {
        if (size > capacity_) {
            release();
            data_ = allocate(size + size / 4);
            capacity_ = size + size / 4;
        }
        return data_;
    }

    T *data() { return data_; }
    const T *data() const { return data_; }
    T &operator[](size_t i) { return data_[i]; }
    const T &operator[](size_t i) const { return data_[i]; }

  private:
    static constexpr std::align_val_t ALIGNMENT{64};

    static T *allocate(size_t size) { return static_cast<T *>(::operator new(size * sizeof(T), ALIGNMENT)); }
    void release() {
        if (data_) ::operator delete(data_, ALIGNMENT);
        data_ = nullptr;
        capacity_ = 0;
    }

    T *data_ = nullptr;
    size_t capacity_ = 0;
};

}  // namespace splats
