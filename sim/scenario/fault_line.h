// What a fault line says behind its request: the kind, and the particulars that the kind has.
//
//     fail                               the sync fails
//     read_error times=3                 so many reads of that place in a row; times=1 if left out
//     write_error times=2 mix=0x5eed     `mix` decides what is there then: old, new or some of each
//     corrupt_transfer bit at=4711       a shape: bit, byte, zeroed, ones, swapped, other_block, truncated
//     unreadable at=512 sectors=3
//     rot byte at=113 mask=7
//     rot zeroed at=512 sectors=8        without sectors=: 512 bytes
//     rot swapped at=0 to=1024
//     rot other_block at=0 to=17         the bytes of block 17 (of the superblock: of that copy)
//     lying_sync, lost_write, stale_read
//     misdirected_write to=17            to=2 superblock: of its copy 2
//     misdirected_read to=17
//
// `at` and `to` count bytes from the beginning of the request, of `bit` bits; blocks count from 1. What is
// left out is 0. Every number means something for every request: places are taken modulo what there is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/disk/fault.h"
#include "sim/scenario/line_cursor.h"

namespace tonearm::sim {

void print_fault(const Fault& fault, std::string* target);
bool parse_fault(LineCursor& cursor, Fault* fault);

// The numbers of a fault that mean something, for whoever makes it simpler.
struct FaultNumber {
  const char* name;
  u64 value;
  u64 least;  // The simplest.
};
std::vector<FaultNumber> fault_numbers(const Fault& fault);
void set_fault_number(Fault* fault, std::string_view name, u64 value);

}  // namespace tonearm::sim
