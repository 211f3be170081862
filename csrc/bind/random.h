// What the bindings of random and rbm share.
#pragma once

#include "bind.h"

namespace dlcore::DLCORE_DEVICE {

// A Python integer in [0, 2**bits): a key, a step, a count.
std::uint64_t to_counter(const char* op, const char* argument, const py::handle& value, int bits = 64);

// ValueError naming the first element outside [0, 1] or NaN.
void require_unit_interval(const char* op, const char* argument, const Array& a);

std::string text(double value);  // "0.1", "nan"

}  // namespace dlcore::DLCORE_DEVICE
