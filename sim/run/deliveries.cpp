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

void Deliveries::failed(u64 address) { add(address, {.fault = read_failed}); }

void Deliveries::brought(u64 address, std::span<const std::byte> block) { add(address, read(block)); }

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

Deliveries::Reading Deliveries::read(std::span<const std::byte> block) const {
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
  std::vector<Reading> readings{read(truth)};
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
