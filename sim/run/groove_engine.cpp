// The only file that meets the engine's templates: the harness's grooves, described as a user describes
// theirs, and the forests that are made of them.
#include "sim/run/groove_engine.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "groove/groove_entries.h"
#include "groove/groove_forest.h"
#include "sim/run/harness_grooves.h"

namespace tonearm::sim {

namespace {

// --- descriptions

using objects::Event;
using objects::Note;
using objects::Reading;
using objects::Thing;

std::optional<u64> large(const Note& note) {
  if (note.size <= 1000) return std::nullopt;
  return note.size / 16;
}
bool draft(const Note& note) { return (note.flags & 1) != 0; }
std::optional<u128> square(const Reading& reading) {
  if (reading.peak == 0) return std::nullopt;
  return u128{reading.peak} * reading.peak;
}

using Things =
    GrooveDescription<"things", Thing, ObjectTree<1>, IdTree<2>, Field<"a", 3, &Thing::a>,
                      Field<"b", 4, &Thing::b>, Field<"c", 5, &Thing::c>, Field<"d", 6, &Thing::d>,
                      Field<"e", 7, &Thing::e>, Field<"f", 8, &Thing::f>, Field<"g", 9, &Thing::g>,
                      Field<"h", 10, &Thing::h>, Field<"i", 11, &Thing::i>, Field<"j", 12, &Thing::j>,
                      Field<"k", 13, &Thing::k>, Field<"l", 14, &Thing::l>, Field<"m", 15, &Thing::m>>;

using Notes =
    GrooveDescription<"notes", Note, ObjectTree<16>, IdTree<17>, Field<"author", 18, &Note::author>,
                      OptionalField<"pinned", 19, &Note::pinned>, Field<"topic", 20, &Note::topic>,
                      Field<"kind", 21, &Note::kind>, Derived<"large", 22, &large>,
                      DerivedExists<"draft", 23, &draft>, Ignored<&Note::size>, Ignored<&Note::flags>,
                      Ignored<&Note::reserved>, Ignored<&Note::body>, OrphanedIds>;

using Events = GrooveDescription<"events", Event, ObjectTree<24>, Field<"source", 25, &Event::source>,
                                 OptionalField<"weight", 26, &Event::weight>, Ignored<&Event::length>,
                                 Ignored<&Event::body>, NoCache>;

using Readings =
    GrooveDescription<"readings", Reading, ObjectTree<27>, Field<"sensor", 28, &Reading::sensor>,
                      OptionalField<"label", 29, &Reading::label>, Derived<"square", 30, &square>,
                      Ignored<&Reading::peak>, Ignored<&Reading::body>>;

// Where the schema of scenarios says that the fields are.
static_assert(offsetof(Thing, a) == 16 && offsetof(Thing, m) == 112 && offsetof(Thing, timestamp) == 120);
static_assert(offsetof(Note, topic) == 16 && offsetof(Note, author) == 32 && offsetof(Note, pinned) == 40);
static_assert(offsetof(Note, size) == 48 && offsetof(Note, flags) == 56 && offsetof(Note, timestamp) == 64);
static_assert(offsetof(Note, kind) == 72 && offsetof(Note, body) == 80);
static_assert(offsetof(Event, timestamp) == 0 && offsetof(Event, source) == 8);
static_assert(offsetof(Event, weight) == 16 && offsetof(Event, length) == 20 && offsetof(Event, body) == 24);
static_assert(offsetof(Reading, label) == 0 && offsetof(Reading, timestamp) == 16);
static_assert(offsetof(Reading, sensor) == 24 && offsetof(Reading, peak) == 32);
static_assert(offsetof(Reading, body) == 40);

// --- a groove, its types hidden

using Change = GrooveEngine::Change;

Change change_of(InsertResult result) {
  switch (result) {
    case InsertResult::ok: return Change::ok;
    case InsertResult::refused: return Change::refused;
    case InsertResult::id_invalid: return Change::id_invalid;
    case InsertResult::timestamp_invalid: return Change::timestamp_invalid;
    case InsertResult::batch_full: return Change::batch_full;
  }
  UNREACHABLE();
}

Change change_of(ChangeResult result) {
  switch (result) {
    case ChangeResult::ok: return Change::ok;
    case ChangeResult::refused: return Change::refused;
    case ChangeResult::batch_full: return Change::batch_full;
  }
  UNREACHABLE();
}

template <class Description>
class GrooveFace final : public GrooveEngine {
 public:
  using Object = typename Description::Object;
  using Key = typename Description::Key;
  static_assert(sizeof(Object) <= object_bytes_max);

  explicit GrooveFace(Groove<Description>& groove) : groove_(&groove) {}

  Change insert(const std::byte* object) override { return change_of(groove_->insert(load(object))); }
  Change update(const std::byte* object) override { return change_of(groove_->update(load(object))); }
  Change upsert(const std::byte* object) override { return change_of(groove_->upsert(load(object))); }
  Change remove(u128 key) override { return change_of(groove_->remove(narrow(key))); }
  Change insert_orphaned_id(u128 id) override {
    if constexpr (Description::orphaned_ids) {
      return change_of(groove_->insert_orphaned_id(id));
    } else {
      UNREACHABLE();
    }
  }
  Found get(u128 key, std::byte* object) override {
    const typename Groove<Description>::GetResult result = groove_->get(narrow(key));
    std::memcpy(object, &result.object, sizeof(Object));
    switch (result.kind) {
      case tonearm::Found::found: return Found::found;
      case tonearm::Found::orphaned: return Found::orphaned;
      case tonearm::Found::not_found: return Found::not_found;
    }
    UNREACHABLE();
  }
  bool exists(u64 timestamp) override { return groove_->exists(timestamp); }

  void prefetch_setup() override { groove_->prefetch_setup(); }
  bool prefetch_enqueue(u128 key) override {
    return groove_->prefetch_enqueue(narrow(key)) == PrefetchResult::ok;
  }
  bool prefetch_exists_enqueue(u64 timestamp) override {
    return groove_->prefetch_exists_enqueue(timestamp) == PrefetchResult::ok;
  }
  void prefetch(Callback<> done) override { groove_->prefetch(done); }
  const Error& prefetch_error() const override { return groove_->prefetch_error(); }
  u32 changes_left() const override { return groove_->changes_left(); }

  Scan* leaf(TreeName tree, u128 min, u128 max, const ScanOptions& options) override {
    const u32 place = static_cast<u32>(tree) - static_cast<u32>(schema().objects);
    if (place == 0) return groove_->scan_timestamps(within(min, max, options));
    if constexpr (Description::has_id) {
      if (place == 1) return groove_->scan_ids(min, max, options);
    }
    Scan* scan = nullptr;
    Description::for_each_index([&]<class Index>(u32 number) {
      if (number == place - (Description::has_id ? 2 : 1)) scan = index_leaf<Index>(min, max, options);
    });
    return scan;
  }
  Scan* leaf_in_order(TreeName tree, u128 min, u128 max, ScanFilter filter,
                      const ScanOptions& options) override {
    const u32 place = static_cast<u32>(tree) - static_cast<u32>(schema().objects);
    Scan* scan = nullptr;
    Description::for_each_index([&]<class Index>(u32 number) {
      using Prefix = PrefixOfIndex<Index, Object>;
      if constexpr (!std::is_same_v<Prefix, NoPrefix>) {
        if (number != place - (Description::has_id ? 2 : 1)) return;
        scan = groove_->template scan_in_order_of<Index::name>(static_cast<Prefix>(min),
                                                               static_cast<Prefix>(max), filter, options);
      }
    });
    return scan;
  }
  void lookup_begin(u32 lookup, Scan& scan, bool cold) override {
    lookups_.at(lookup).emplace(*groove_, scan, cold);
  }
  void lookup_read(u32 lookup, std::span<std::byte> objects, Callback<> done) override {
    ASSERT(reinterpret_cast<std::uintptr_t>(objects.data()) % alignof(Object) == 0);
    lookups_.at(lookup)->read({reinterpret_cast<Object*>(objects.data()), objects.size() / sizeof(Object)},
                              done);
  }
  LookupState lookup_state(u32 lookup) const override { return lookups_.at(lookup)->state(); }
  u32 lookup_count(u32 lookup) const override { return lookups_.at(lookup)->count(); }
  const Error& lookup_error(u32 lookup) const override { return lookups_.at(lookup)->error(); }

 private:
  static const GrooveSpec& schema() {
    for (u32 i = 0; i < groove_count; ++i) {
      const GrooveSpec& spec = groove_spec(static_cast<GrooveName>(i));
      if (Description::name.view() == spec.name) return spec;
    }
    UNREACHABLE();
  }
  // Of objects the values are the timestamps.
  static ScanOptions within(u128 min, u128 max, ScanOptions options) {
    options.timestamps.min = std::max(options.timestamps.min, static_cast<u64>(min));
    options.timestamps.max = std::min(options.timestamps.max, static_cast<u64>(max));
    return options;
  }
  template <class Index>
  Scan* index_leaf(u128 min, u128 max, const ScanOptions& options) {
    using Prefix = PrefixOfIndex<Index, Object>;
    if constexpr (std::is_same_v<Prefix, NoPrefix>) {
      return groove_->template scan<Index::name>(options);
    } else {
      return groove_->template scan_range<Index::name>(static_cast<Prefix>(min), static_cast<Prefix>(max),
                                                       options);
    }
  }
  static Object load(const std::byte* bytes) {
    Object object;
    std::memcpy(&object, bytes, sizeof object);
    return object;
  }
  static Key narrow(u128 key) {
    ASSERT(static_cast<Key>(key) == key);
    return static_cast<Key>(key);
  }

  Groove<Description>* groove_;
  std::array<std::optional<ScanLookup<Description>>, lookups_max> lookups_;
};

// --- a forest of them

template <class... Descriptions>
class GroovesEngine final : public Engine {
 public:
  using Grooves = GrooveForest<Descriptions...>;

  static typename Grooves::Options options_of(const RunOptions& options, Storage* mirror = nullptr) {
    return {.format = options.format,
            .runtime = options.runtime,
            .groove = {.cache_slots = options.object_cache_slots,
                       .cache_hash_bits = options.object_hash_bits,
                       .prefetch_keys_max = options.prefetch_keys_max,
                       .prefetch_workers = options.prefetch_workers,
                       .scan_sort_timestamps = options.scan_sort_timestamps,
                       .lookup_workers = options.lookup_workers},
            .cluster = engine_cluster,
            .mirror = mirror};
  }

  GroovesEngine(Storage& storage, Storage* mirror, const RunOptions& options, std::span<std::byte> memory)
      : grooves_(storage, options_of(options, mirror), memory),
        faces_(grooves_.template groove<Descriptions>()...) {}

  Forest& forest() override { return grooves_.forest(); }
  GrooveEngine* groove(GrooveName name) override {
    GrooveEngine* found = nullptr;
    const std::string_view wanted = groove_spec(name).name;
    ((Descriptions::name.view() == wanted ? void(found = &std::get<GrooveFace<Descriptions>>(faces_))
                                          : void()),
     ...);
    return found;
  }
  ScanBuilder* scans() override { return &grooves_.scans(); }
  void format(Callback<> done) override { grooves_.format(done); }
  void open(Callback<> done) override { grooves_.open(done); }
  void compact(u64 op, Callback<> done) override { grooves_.compact(op, done); }
  void checkpoint(Callback<> done) override { grooves_.checkpoint(done); }
  void mark_checkpoint_durable() override { grooves_.mark_checkpoint_durable(); }
  bool scope_open() override { return grooves_.scope_open(); }
  void scope_close(ScopeMode mode) override { grooves_.scope_close(mode); }
  std::span<const GrooveVerify::Reader> readers() const override { return groove_readers<Descriptions...>; }

 private:
  Grooves grooves_;
  std::tuple<GrooveFace<Descriptions>...> faces_;
};

// `visit` is called with a null pointer of the engine type of the world.
template <class Visit>
decltype(auto) with_engine_of(const World& world, Visit&& visit) {
  if (world.groove_count > 1) return visit(static_cast<GroovesEngine<Things, Notes, Events>*>(nullptr));
  switch (world.first_groove) {
    case GrooveName::things: return visit(static_cast<GroovesEngine<Things>*>(nullptr));
    case GrooveName::notes: return visit(static_cast<GroovesEngine<Notes>*>(nullptr));
    case GrooveName::events: return visit(static_cast<GroovesEngine<Events>*>(nullptr));
    case GrooveName::readings: return visit(static_cast<GroovesEngine<Readings>*>(nullptr));
    case GrooveName::none: break;
  }
  UNREACHABLE();
}

}  // namespace

OptionsError groove_engine_validate(const World& world, const RunOptions& options) {
  return with_engine_of(world, [&]<class E>(E*) { return E::Grooves::validate(E::options_of(options)); });
}

u64 groove_engine_memory_required(const World& world, const RunOptions& options) {
  return with_engine_of(world,
                        [&]<class E>(E*) { return E::Grooves::memory_required(E::options_of(options)); });
}

std::unique_ptr<Engine> make_groove_engine(const World& world, Storage& storage, Storage* mirror,
                                           const RunOptions& options, std::span<std::byte> memory) {
  return with_engine_of(world, [&]<class E>(E*) -> std::unique_ptr<Engine> {
    return std::make_unique<E>(storage, mirror, options, memory);
  });
}

}  // namespace tonearm::sim
