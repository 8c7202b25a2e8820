#include "fuzz/forgery.h"

#include <algorithm>
#include <vector>

#include "fuzz/forged_file.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

constexpr u64 places = 96;     // About as many blocks as the files have, in which any number means one.
constexpr u64 offsets = 1024;  // Of a block.

// All that is in a file hangs from its superblock.
u64 drawn_place(u64 random) {
  return below(random, 6) == 0 ? ForgedFile::superblock : below(remix(random, 1), places);
}

u64 drawn_offset(u64 random) {
  constexpr u64 word = 8, header = 256;  // Half of them: what a block or the superblock says of itself.
  const u64 offset = below(remix(random, 1), below(random, 2) == 0 ? 2 * header : offsets);
  return offset / word * word;
}

// Limits and what is near them; of copies a place, often the same one.
u64 drawn_value(const Forgery& forgery, u64 random) {
  const u64 more = remix(random, 1);
  if (forgery.kind() == ForgeryKind::set) {
    switch (below(random, 4)) {
      case 0: return below(more, 4);
      case 1: return ~u64{0} >> 8;
      case 2: return below(more, 256);
      default: return more >> 8;
    }
  }
  if (forgery.kind() == ForgeryKind::add)
    return below(random, 2) == 0 ? 1 + below(more, 4) : 255 - below(more, 4);
  const u64 place = below(random, 2) == 0 ? forgery.place : drawn_place(more);
  const u64 offset = below(remix(random, 2), 2) == 0 ? forgery.offset : drawn_offset(remix(random, 3));
  return place | offset << 16;
}

Forgery drawn(u64 random) {
  Forgery forgery{.place = static_cast<u16>(drawn_place(random)),
                  .offset = static_cast<u16>(drawn_offset(remix(random, 1))),
                  .how = static_cast<u8>(below(remix(random, 2), 16))};
  forgery.value = drawn_value(forgery, remix(random, 3));
  return forgery;
}

void change(Forgery* forgery, u64 random) {
  const u64 more = remix(random, 1);
  switch (below(random, 5)) {
    case 0: forgery->place = static_cast<u16>(drawn_place(more)); return;
    case 1: forgery->place = static_cast<u16>(forgery->place + (more & 1) * 2 - 1); return;
    case 2: forgery->offset = static_cast<u16>(drawn_offset(more)); return;
    case 3: forgery->how = static_cast<u8>(below(more, 16)); return;
    default: forgery->value = drawn_value(*forgery, more); return;
  }
}

void mutate(std::vector<Forgery>* forgeries, u64 random) {
  const u64 more = remix(random, 1);
  const auto at = [&](u64 count) { return static_cast<std::ptrdiff_t>(below(remix(random, 2), count)); };
  const u64 pick = below(random, forgeries->empty() ? 3 : 10);
  if (pick < 3) {
    forgeries->insert(forgeries->begin() + at(forgeries->size() + 1), drawn(more));
  } else if (pick == 3) {
    forgeries->erase(forgeries->begin() + at(forgeries->size()));
  } else if (pick == 4) {  // The same elsewhere.
    Forgery copy = (*forgeries)[static_cast<std::size_t>(at(forgeries->size()))];
    change(&copy, more);
    forgeries->push_back(copy);
  } else {
    change(&(*forgeries)[static_cast<std::size_t>(at(forgeries->size()))], more);
  }
}

}  // namespace

std::string mutate_forgeries(const Target&, std::string_view input, std::size_t size_max, u64 random) {
  std::vector<Forgery> forgeries;
  for (std::size_t at = 1; at + Forgery::size <= input.size(); at += Forgery::size) {
    forgeries.push_back(Forgery::of(input.data() + at));
  }
  char file = input.empty() ? 0 : input.front();
  if (below(remix(random, 10), 16) == 0) file = static_cast<char>(file ^ 1);
  u64 count = 1;
  while (count < 4 && below(remix(random, 20 + count), 3) == 0) ++count;
  for (u64 i = 0; i < count; ++i) mutate(&forgeries, remix(random, 30 + i));
  std::string text(1, file);
  for (const Forgery& forgery : forgeries) {
    if (text.size() + Forgery::size > std::min(size_max, 1 + Forgery::count_max * Forgery::size)) break;
    const auto bytes = forgery.bytes();
    text.append(bytes.data(), bytes.size());
  }
  return text;
}

}  // namespace tonearm::sim
