// Shared memory of a block, and cp.async into it.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "machine.h"

namespace dlcore::DLCORE_DEVICE::emulate {

bool in_shared_memory(std::uintptr_t address) {
  return address - reinterpret_cast<std::uintptr_t>(machine->shared) < sizeof machine->shared;
}

void* dynamic_shared() { return machine->shared; }

void* shared_array(const void* tag, std::size_t bytes) {
  Machine& m = *machine;
  std::size_t end = m.dynamic_bytes;
  for (const SharedArray& a : m.arrays) {
    if (a.tag == tag) return m.shared + a.offset;
    end = a.offset + a.bytes;
  }
  const auto offset = static_cast<std::size_t>(round_up(static_cast<Index>(end + shared_gap), 64));
  std::size_t taken = m.dynamic_bytes + bytes;
  for (const SharedArray& a : m.arrays) taken += a.bytes;
  if (offset + bytes + shared_gap > sizeof m.shared || taken - m.dynamic_bytes > most_static)
    std::abort();  // nvcc refuses so much at compile time
  if (taken > most_shared) report("more shared memory than a block may have");
  m.arrays.push_back({tag, offset, bytes});
  m.shared_used = std::max(m.shared_used, offset + bytes + shared_gap);
  return m.shared + offset;
}

namespace {
void perform(const AsyncCopy& copy) {
  std::memcpy(copy.to, copy.from, static_cast<std::size_t>(copy.valid));
  std::memset(static_cast<char*>(copy.to) + copy.valid, 0, static_cast<std::size_t>(copy.bytes - copy.valid));
}

// PTX ISA, cp.async: 4, 8 or 16 bytes, both addresses aligned to them.
void check_async(const AsyncCopy& copy) {
  const auto from = reinterpret_cast<std::uintptr_t>(copy.from), to = reinterpret_cast<std::uintptr_t>(copy.to);
  if ((from | to) % static_cast<std::uintptr_t>(copy.bytes) != 0)
    report("a cp.async of " + std::to_string(copy.bytes) + " bytes that is not aligned to them");
  if (copy.valid < 0 || copy.valid > copy.bytes) report("a cp.async of more bytes than it has room for");
  if (!in_shared_memory(to)) report("a cp.async to what is not shared memory");
}
}  // namespace

void copy_async(void* shared, const void* global, int bytes, int valid) {
  Thread& self = *machine->current;
  const AsyncCopy copy{shared, global, bytes, valid, self.group};
  check_async(copy);
  touch(global, static_cast<std::size_t>(valid), Access::read);
  touch(shared, static_cast<std::size_t>(bytes), Access::write);
  if (machine->immediate_copies) perform(copy);
  else std::memset(shared, 0xFF, static_cast<std::size_t>(bytes));
  self.copies.push_back(copy);
}

void commit_async() { ++machine->current->group; }

void wait_async(int groups_left) {
  Thread& self = *machine->current;
  std::size_t finished = 0;
  while (finished < self.copies.size() && self.copies[finished].group < self.group - groups_left) {
    if (!machine->immediate_copies) perform(self.copies[finished]);
    touch(self.copies[finished].to, static_cast<std::size_t>(self.copies[finished].bytes), Access::write);
    ++finished;
  }
  self.copies.erase(self.copies.begin(), self.copies.begin() + static_cast<std::ptrdiff_t>(finished));
}

}  // namespace dlcore::DLCORE_DEVICE::emulate
