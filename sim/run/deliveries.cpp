#include "sim/run/deliveries.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/decode/disk_format.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

constexpr const char* read_failed = "read_failed";
constexpr const char* invalid_checksum = "invalid_checksum";
constexpr const char* unexpected_command = "unexpected_command";
constexpr const char* invalid_checksum_body = "invalid_checksum_body";
constexpr const char* unexpected_checksum = "unexpected_checksum";
constexpr const char* invalid_padding = "invalid_padding";

}  // namespace

void Deliveries::read(u64 address, const Storage::Read& read) {
  add(address, read.result == IoResult::failed ? Reading{.fault = read_failed} : reading_of(read.buffer));
}

void Deliveries::add(u64 address, const Reading& reading) {
  std::vector<Reading>& readings = blocks_[address];
  const auto known = std::find(readings.begin(), readings.end(), reading);
  if (known != readings.end()) {
    readings.erase(known);
  } else if (readings.size() == readings_max) {
    readings.erase(std::find_if(readings.begin(), readings.end(),
                                [](const Reading& each) { return each.fault == nullptr; }));
  }
  readings.push_back(reading);
}

void Deliveries::write_failed(u64 address, const Storage::Write& write) {
  if (address == 0) {
    writes_[0] = {.what = fmt::format("superblock copy {}", write.offset / f::copy_size)};
    return;
  }
  const u8 type = f::load<u8>(write.buffer, f::header_type);
  const char* const what = type == f::type_manifest   ? "manifest"
                           : type == f::type_free_set ? "trailer"
                                                      : "table";
  writes_[address] = {.checksum = f::load<u128>(write.buffer, 0),
                      .what = fmt::format("a {} block could not be written", what)};
}

std::string Deliveries::why_not_written(const Error& error) const {
  const auto found = writes_.find(error.address);
  if (found == writes_.end()) return "no write has failed there";
  const Unwritten& last = found->second;
  if (last.checksum == error.checksum && last.what == error.reason) return {};
  return fmt::format("that was no {}, or of another checksum than {}", last.what, f::hex(error.checksum));
}

Deliveries::Reading Deliveries::reading_of(std::span<const std::byte> block) const {
  const u128 checksum = f::load<u128>(block, 0);
  const f::Bytes header = block.first(f::header_size);
  if (checksum != f::checksum(header.subspan(f::header_checksum_from))) return {.fault = invalid_checksum};
  if (f::load<u128>(block, sizeof(u128)) != 0) return {.fault = invalid_checksum};
  if (f::load<u8>(block, f::header_command) != f::command_block) return {.fault = unexpected_command};
  if (f::load<u32>(block, f::header_release) != f::release_known) return {.fault = unexpected_command};
  const u32 size = f::load<u32>(block, f::header_block_size);
  if (size < f::header_size || size > block.size()) return {.fault = invalid_checksum_body};
  if (f::load<u128>(block, f::header_body_checksum + sizeof(u128)) != 0) {
    return {.fault = invalid_checksum_body};
  }
  const f::Bytes body = block.subspan(f::header_size, size - f::header_size);
  if (f::load<u128>(block, f::header_body_checksum) != f::checksum(body)) {
    return {.fault = invalid_checksum_body};
  }
  const u64 written = (u64{size} + sector_size_ - 1) / sector_size_ * sector_size_;
  return {.checksum = checksum, .padded = f::all_zero(block.subspan(size, written - size))};
}

const char* Deliveries::reason_of(const Reading& reading, u128 expected) {
  if (reading.fault != nullptr) return reading.fault;
  if (reading.checksum != expected) return unexpected_checksum;
  return reading.padded ? nullptr : invalid_padding;
}

std::string Deliveries::why_not(u64 address, u128 checksum, std::string_view reason,
                                std::span<const std::byte> truth) const {
  std::vector<Reading> readings{reading_of(truth)};
  const auto found = blocks_.find(address);
  if (found != blocks_.end()) readings.insert(readings.end(), found->second.begin(), found->second.end());
  std::string reasons;
  for (const Reading& reading : readings) {
    const char* const each = reason_of(reading, checksum);
    if (each != nullptr && each == reason) return {};
    reasons += fmt::format("{}{}", reasons.empty() ? "" : ", ", each == nullptr ? "valid" : each);
  }
  return fmt::format("{} is not what was delivered: {}", reason, reasons);
}

}  // namespace tonearm::sim
