// A completion callback of two words: an object and a function. It is trivially copyable, captures
// nothing, allocates nothing, and drops without ceremony when a crash drops its queue.
#pragma once

#include "base/assert.h"

namespace tonearm {

template <class... Args>
class Callback {
 public:
  constexpr Callback() = default;

  // Callback<Read&>::to<&Compaction::read_done>(this)
  template <auto Method, class Object>
  static Callback to(Object* object) {
    Callback callback;
    callback.context_ = object;
    callback.function_ = [](void* context, Args... args) {
      (static_cast<Object*>(context)->*Method)(static_cast<Args>(args)...);
    };
    return callback;
  }

  // For a plain function with a context, at the borders where no method fits.
  static Callback plain(void* context, void (*function)(void*, Args...)) {
    Callback callback;
    callback.context_ = context;
    callback.function_ = function;
    return callback;
  }

  explicit operator bool() const { return function_ != nullptr; }

  // The object may be dead once the callback returns: touch nothing of your own after it.
  void operator()(Args... args) const {
    ASSERT(function_ != nullptr);
    function_(context_, static_cast<Args>(args)...);
  }

 private:
  void* context_ = nullptr;
  void (*function_)(void*, Args...) = nullptr;
};

}  // namespace tonearm
