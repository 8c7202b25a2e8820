#include "sim/cli/json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sim/cli/report.h"
#include "sim/cli/version.h"

namespace tonearm::sim {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const JsonFields& fields) {
  Json object = Json::object();
  for (const JsonField& field : fields) {
    if (const JsonFields* nested = std::get_if<JsonFields>(&field.value)) {
      object[field.name] = to_json(*nested);
    } else if (const auto* list = std::get_if<std::vector<JsonFields>>(&field.value)) {
      object[field.name] = Json::array();
      for (const JsonFields& entry : *list) object[field.name].push_back(to_json(entry));
    } else if (const std::string* text = std::get_if<std::string>(&field.value)) {
      object[field.name] = *text;
    } else if (const u64* number = std::get_if<u64>(&field.value)) {
      object[field.name] = *number;
    } else {
      object[field.name] = std::get<bool>(field.value);
    }
  }
  return object;
}

// A scenario file's name or a hostile byte in a message must not end the program.
std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string json_text(const JsonFields& fields) { return dump(to_json(fields)); }

std::string json_text(const std::vector<JsonFields>& list) {
  Json array = Json::array();
  for (const JsonFields& fields : list) array.push_back(to_json(fields));
  return dump(array);
}

std::string verdict_json(const PreparedRun& prepared, const RunResult& result,
                         const std::string& scenario_file, const FoundShrunk& shrunk,
                         std::optional<bool> complete) {
  Json json;
  json["schema"] = "tonearm.run/1";
  json["verdict"] = result.failed() ? "fail" : "pass";
  if (result.failed()) {
    const Failure& failure = result.failure;
    json["class"] = failure_class_name(failure.failure_class);
    json["signature"] = fmt::format("{:08x}", failure.signature());
    json["op"] = failed_op_text(failure);
    json["site"] = failure.site;
    json["message"] = failure.message;
    json["story"] = failure.story;
  }
  json["workload"] = prepared.workload;
  json["seed"] = fmt::format("{:#x}", prepared.seed);
  for (const CounterName& counter : counter_names())
    json["counters"][counter.name] = result.counters.*counter.field;
  json["faults"] = result.faults();
  for (u32 i = 0; i < fault_kind_count; ++i) {
    const FaultKind kind = static_cast<FaultKind>(i);
    const char* name = fault_kind_name(kind);
    json["faults_fired"][name] = result.faults_fired.of(kind);
    json["faults_armed"][name] = result.faults_armed.of(kind);
    if (result.faults_armed.of(kind, Zone::superblock) == 0) continue;
    json["faults_fired_superblock"][name] = result.faults_fired.of(kind, Zone::superblock);
    json["faults_armed_superblock"][name] = result.faults_armed.of(kind, Zone::superblock);
  }
  json["variations_fired"] = Json::object();
  json["variations_armed"] = Json::object();
  for (u32 i = 0; i < variation_count; ++i) {
    if (result.variations_armed[i] == 0) continue;
    const char* name = variation_name(static_cast<Variation>(i));
    json["variations_fired"][name] = result.variations_fired[i];
    json["variations_armed"][name] = result.variations_armed[i];
  }
  json["marks"] = Json::object();
  for (u32 i = 0; i < mark_count; ++i) {
    if (result.marks[i] > 0) json["marks"][mark_name(static_cast<Mark>(i))] = result.marks[i];
  }
  json["answers"] = fmt::format("{:016x}", result.digests.answers);
  json["digest"] = fmt::format("{:016x}", result.digests.digest);
  json["gen"] = generator_version;
  json["git"] = git_commit();
  json["build"] = build_name();
  json["reproduce"] = prepared.reproduce;
  if (!scenario_file.empty()) json["scenario"] = scenario_file;
  if (shrunk.shrunk) {
    json["shrunk"]["lines"] = shrunk.after.lines;
    json["shrunk"]["faults"] = shrunk.after.faults;
    json["shrunk"]["settings"] = shrunk.after.settings;
  }
  if (complete) json["complete"] = *complete;
  return dump(json);
}

}  // namespace tonearm::sim
