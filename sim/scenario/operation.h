// The alphabet: one operation is one line of a scenario.
//
// A trivially copyable value that a seed generates, a file spells out, the runner plays and a
// shrinker deletes. What each line means, also when its neighbours are gone, is in sim/README.md.
//
//   17 put kv key=5 value=9                    general tree of u64 keys
//   18 put index key=3/12                      secondary index: field/timestamp, no value
//   19 put id key=0xffee value=4               general tree of u128 keys
//   20 remove kv key=5
//   21 get kv key=5 cold                       cold: no cached block may answer
//   22 scan kv from=1 to=90 desc limit=3 cold  defaults: from=min to=max, ascending, no limit
//   23 commit times=3                          default: times=1
//   24 checkpoint
//   25 scope
//   26 end discard                             or: end persist
//   27 crash at=12 writes=lost,torn            strikes before the 12th event-loop step after the line
//   27 crash at=12 writes=2:landed,torn+0x5    the third landed; of the fourth units 0 and 2 alone
//   27 crash at=3 superblock                   the same, after the next write of a superblock copy
//   27 crash at=3 end                          the same, after the last line
//   28 reopen cache_blocks=16
//   29 fault 24/checkpoint_sync#0 fail         the sync with this identity fails
//   29 fault 17/compact_write(3,2)#4 lost_write    the same of the other kinds, see fault_line.h
//   30 heal                                    the medium is again as it was acknowledged to be
//   30 latency 23/compact_write(1,2)#4 ticks=900
//   31 reseed seed=0x9                        from here on the harness draws from another seed
//
// In a world of grooves there are objects instead of puts; scans name any of the trees:
//
//   17 insert things id=3 a=1 b=9              fields that are not named are 0
//   18 insert notes id=0xffee timestamp=5      without timestamp=: the line's own, see own_timestamp()
//   19 update things id=3 a=7                  only what is named changes
//   20 upsert things id=3 a=1                  insert, or all fields of the object that is there
//   21 remove events timestamp=5               no ids there: the timestamp is the key
//   22 orphan notes id=9
//   23 get things id=3
//   24 exists things timestamp=5
//   25 prefetch things id=3                    needlessly; or timestamp=5, as exists would
//   26 scan things.a from=1/0 to=1/90
//
// Scans that stay open from line to line have a number, from 0 to 15. Of trees:
//
//   40 scan_open n=2 kv from=1 to=90 desc cold
//   41 scan_next n=2 count=5                   the next 5 values; default: 1
//   42 scan_next n=2,5 count=9                 of both in turn; what they must read is read at once
//   43 scan_probe n=2 kv key=45                everything in front of the key goes
//   44 scan_abort n=2
//   45 scan_close n=2
//
// Of grooves, where they yield timestamps, and whole queries, which yield objects (query.h):
//
//   40 query things a=1 & (b=7..9 - c=2) desc limit=3 buffer=2 cold
//   41 page things                             the same again, behind the last timestamp that it returned
//   42 scan_open n=1 things a=1 & b=3 desc     and scan_next, scan_abort, scan_close as above
//   43 scan_probe n=1 timestamp=40
//
// The lines of a component workload are calls of its verbs instead, see verb.h.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/bounded_array.h"
#include "sim/disk/keyed.h"
#include "sim/disk/sim_storage.h"
#include "sim/scenario/query.h"
#include "sim/scenario/schema.h"
#include "sim/scenario/verb.h"

namespace tonearm::sim {

enum class OperationKind : u8 {
  put,
  remove,
  get,
  scan,
  commit,
  checkpoint,
  scope,
  end,
  crash,
  reopen,
  fault,
  latency,
  call,  // A verb of a component workload, which has no others.
  // Of grooves, which have neither put nor raw trees.
  insert,
  update,
  upsert,
  orphan,
  exists,
  prefetch,
  query,
  page,
  // Of both.
  scan_open,
  scan_next,
  scan_probe,
  scan_abort,
  scan_close,
  // About the disk.
  heal,
  // About the harness.
  reseed,
};
inline constexpr u32 operation_kind_count = 28;
const char* operation_kind_name(OperationKind kind);
// What lines of this world may be, in the order in which an error lists them.
std::span<const OperationKind> operation_kinds(const World& world);

// What a crash does to a write, as `writes=` spells it.
const char* crash_outcome_name(CrashOutcome outcome);

inline constexpr u64 op_number_max = (u64{1} << 63) - 1;
inline constexpr u64 value_max = (u64{1} << 63) - 1;
inline constexpr u64 commit_times_max = 1'000'000;
inline constexpr u64 crash_step_max = u64{1} << 32;
inline constexpr u32 crash_write_max = 65'535;  // Number of a write that a crash decides.
inline constexpr u64 latency_ticks_max = u64{1} << 40;
inline constexpr u32 scan_slots = 16;  // Numbers of open scans.
inline constexpr u64 scan_next_max = 10'000;
inline constexpr u64 query_buffer_max = 4096;
inline constexpr u64 query_buffer_default = 32;

// Returns what was expected instead; empty: fine. `17` or `17.1`.
std::string parse_op_id(std::string_view text, OpId* id);

void append_op_id(OpId id, std::string* target);
std::string op_id_text(OpId id);

// What requests of `op` are attributed to when it is replayed after `recovery` (a crash or reopen
// line; number 0: not replayed).
Attribution attribution_of(OpId op, OpId recovery);

// Identity of one I/O request: `20/17/compact_write(3,2)#4` is the 5th compact_write of tree 3, level 2
// attributed to op 17 (replayed after the crash of line 20; no crash: `17/...`). Op 0 is the format
// and first open. `(tree,level)` is left out where both are 0. Work beside an op (an audit, a scrub, the
// recovery of a recovery) has a context of its own, a number that is the same in every run: `17@0x9f53/...`.
struct RequestName {
  Attribution attribution;  // attribution_of(op, recovery).
  OpId recovery;            // The crash or reopen line; number 0: none.
  IoTag tag{};
  u32 n = 0;
};
std::string request_name_text(const RequestName& request);
std::string parse_request_name(std::string_view text, RequestName* request);

struct SettingChange {
  u16 setting;  // Index into settings().
  u64 value;
};

struct Operation {
  OpId id;  // Number 0: none yet, see assign_ids().
  OperationKind kind = OperationKind::commit;
  TreeName tree = TreeName::kv;  // Of a groove: its object tree.
  Direction direction = Direction::ascending;
  bool cold = false;
  bool persist = false;      // end.
  bool superblock = false;   // crash: count from the first superblock write after the line,
  bool at_end = false;       // or from the end of the run.
  bool timestamped = false;  // insert, upsert: not its own timestamp; prefetch: as exists.
  u16 named = 0;             // update: bit i for the i-th field of the groove.
  u16 slots = 0;             // scan_*: bit i for scan number i; several for scan_next only.
  Key key{};                 // put, remove, get, scan_probe; scan, scan_open: from; an object:
                             // id or timestamp.
  Key key_end{};             // scan, scan_open: to, inclusive; not below from.
  u64 value = 0;             // put (63 bits); index: 0; insert, upsert: the timestamp; query:
                             // how many objects its result buffer holds; reseed: the seed.
  u32 limit = 0;             // scan, query; 0: none.
  u64 count = 1;             // commit: times; crash: at; latency: ticks; scan_next.
  RequestName request{};     // fault, latency.
  Fault fault{};             // fault.
  BoundedArray<CrashWrite, crash_writes_max> writes{};  // crash: explicit outcomes.
  BoundedArray<SettingChange, 8> changes{};             // reopen.
  const Verb* verb = nullptr;                           // call.
  std::array<u64, verb_arguments_max> arguments{};
  std::array<u64, fields_max> fields{};  // insert, update, upsert: by the order of the groove's fields.
  u128 wide_field = 0;                   // Instead, of the one that has 128 bits.
  Query query;                           // query; scan_open of a groove. Last: see reset().

  // About an object.
  bool of_groove() const {
    return tree_spec(tree).groove != GrooveName::none && kind != OperationKind::scan &&
           kind < OperationKind::query;
  }
  GrooveName groove() const { return tree_spec(tree).groove; }
};
static_assert(std::is_trivially_copyable_v<Operation>);

// As new, but for the bytes behind the end of a query: they mean nothing, and lines are made by the million.
void reset(Operation* operation);

// Whether the line takes the number of a scan.
inline bool of_scan(OperationKind kind) {
  return kind >= OperationKind::scan_open && kind <= OperationKind::scan_close;
}
// Whether open scans end when such a line comes, whatever becomes of it: nothing may change under them.
bool ends_scans(OperationKind kind);
// Whether nothing happens in such a line: it is about what is to come, and no event of the run.
bool is_silent(OperationKind kind);
// Of a line that takes one.
u32 scan_slot(const Operation& operation);

u128 field_value(const Operation& operation, u32 field);
void set_field(Operation* operation, u32 field, u128 value);

// What an object gets that a line inserts without saying so: the number of the line. (A split child gets
// one far above, so that it does not take that of the next line.)
u64 own_timestamp(OpId id);
// Of an insert or upsert. The key that a line of a groove is about: an id, or where there is none a
// timestamp.
u64 inserted_timestamp(const Operation& operation);
u128 object_key(const Operation& operation);

// What the line means as one number, without its id: equal lines have equal ones in every build.
u64 content_hash(const Operation& line);

// One line with its newline.
void print_operation(const Operation& operation, std::string* target);

}  // namespace tonearm::sim
