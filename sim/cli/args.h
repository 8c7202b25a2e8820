// What was typed, as plain structs: only main.cpp knows the library that parses command lines.
//
// Numbers stay text until number.h of the scenario layer reads them, because the library takes
// `010`, `-1` and 2^64 without a word.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace tonearm::sim {

struct OutputArgs {
  bool json = false;
  bool quiet = false;
  bool verbose = false;
  std::string color = "auto";
};

// What every command takes that plays seeds.
struct PlayArgs {
  OutputArgs output;
  std::string workload;  // Empty: the command's default.
  std::string ops;
  std::vector<std::string> set;
  std::vector<std::string> disable;
  std::string oracles;
  bool check_determinism = false;
  std::string twins;
  std::vector<std::string> reseed;  // Of those that add_reseed() was given.
};

// Of failures that are found on the way.
struct ShrinkFoundArgs {
  bool no_shrink = false;
  std::string shrink_for;
};

struct RunArgs {
  PlayArgs play;
  ShrinkFoundArgs shrink;  // Of `run` only.
  std::string seed;
  std::string scenario;
  std::string answers;
  std::string trace;
  std::string until;
  std::string break_at;
  std::string cpu_limit;  // Seconds; empty: the usual.
};

struct ReplayArgs {
  RunArgs run;  // Without a seed.
  std::vector<std::string> files;
};

struct PrintArgs {
  PlayArgs play;
  std::string seed;
  bool frozen = false;
  std::string output_file;
};

struct ShrinkArgs {
  PlayArgs play;
  std::string file;
  std::string seed;
  std::string duration;
  std::string jobs;
  std::string cpu_limit;
  std::string output_file;
  bool when = false;
  std::string suffixes;
};

struct SweepArgs {
  PlayArgs play;
  std::string file;
  std::string seed;
  std::string depth;
  std::string outcomes;
  std::string duration;
};

struct DiffArgs {
  PlayArgs play;
  std::string seed;
  std::string scenario;
  std::string against;
};

struct CampaignArgs {
  PlayArgs play;
  std::string seeds;
  std::string duration;
  std::string jobs;
  std::string digests;
  bool guided = false;
  bool until_failure = false;
  ShrinkFoundArgs shrink;
};

struct EnumerateArgs {
  std::string ops;
  std::string workload;
  std::string jobs;
  std::string starts;
  bool quiet = false;
};

struct InspectArgs {
  PlayArgs play;
  std::string image;
  std::string seed;
  std::string at;
  std::string block;
  bool hex = false;
  bool values = false;
  std::string output_file;
};

struct ListArgs {
  OutputArgs output;
  std::string seeds;  // marks
  std::string workload;
};

// Each returns the exit status, or throws what problems.h has.
int run_command(const RunArgs& args);
int replay_command(const ReplayArgs& args);
int print_command(const PrintArgs& args);
int shrink_command(const ShrinkArgs& args);
int when_command(const ShrinkArgs& args);  // `shrink --when`.
int sweep_command(const SweepArgs& args);
int diff_command(const DiffArgs& args);
int events_command(const DiffArgs& args);
int campaign_command(const CampaignArgs& args);
int enumerate_command(const EnumerateArgs& args);
int inspect_command(const InspectArgs& args);
int workloads_command(const ListArgs& args);
int options_command(const ListArgs& args);
int marks_command(const ListArgs& args);

}  // namespace tonearm::sim
