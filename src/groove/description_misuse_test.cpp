// Descriptions that the compiler must refuse. scripts/misuses compiles this file once for each line
// `// misuse NAME: MESSAGE` with -DMISUSE_NAME, and looks for the message; without any it must compile.
#if defined(MISUSES)  // No more than is needed: it is compiled often.
#include "groove/description.h"
#else
#include <catch2/catch.hpp>
#endif
#if !defined(MISUSES) || defined(MISUSE_FOREST_SAME_TREE) || defined(MISUSE_FOREST_SAME_NAME) ||       \
    defined(MISUSE_FOREST_TREES) || defined(MISUSE_ORPHANS_UNDECLARED) || defined(MISUSE_SCAN_NAME) || \
    defined(MISUSE_SCAN_WITHOUT_VALUE) || defined(MISUSE_SCAN_OF_EXISTENCE) || defined(MISUSE_SCAN_IDS)
#include "groove/groove_forest.h"
#endif

namespace tonearm {

namespace {

struct Plain {
  u128 id;
  u64 author;
  u64 timestamp;
};
enum class Signed : int { a };
constexpr std::optional<u64> derived(const Plain& plain) { return plain.author; }
[[maybe_unused]] constexpr u64 not_optional(const Plain& plain) { return plain.author; }
[[maybe_unused]] constexpr std::optional<int> derived_signed(const Plain&) { return 1; }
[[maybe_unused]] constexpr u64 not_bool(const Plain& plain) { return plain.author; }

template <class... Options>
using Describe = GrooveDescription<"plain", Plain, ObjectTree<1>, IdTree<2>, Options...>;
using Author = Field<"author", 3, &Plain::author>;

using Right = Describe<Author, Derived<"derived", 4, &derived>>;
static_assert(Right::trees().size() == 4);

// misuse PADDING: groove: the struct has padding
#if defined(MISUSE_PADDING)
struct Object {
  u64 timestamp;
  u32 small;
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Ignored<&Object::small>>;

// misuse NOT_PLAIN: groove: the struct has padding, or members that are not plain integers
#elif defined(MISUSE_NOT_PLAIN)
struct Number {
  u64 value;
  Number(const Number& other) : value(other.value) {}
};
struct Object {
  u64 timestamp;
  Number number;
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Ignored<&Object::number>>;

// misuse SIZE: groove: the size of the struct must be a power of two from 8 to 256
#elif defined(MISUSE_SIZE)
struct Object {
  u64 timestamp;
  u64 more[2];
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Ignored<&Object::more>>;

// misuse TOO_LARGE: groove: the size of the struct must be a power of two from 8 to 256
#elif defined(MISUSE_TOO_LARGE)
struct Object {
  u64 timestamp;
  u64 more[63];
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Ignored<&Object::more>>;

// misuse NO_TIMESTAMP: groove: the struct needs a member `u64 timestamp`
#elif defined(MISUSE_NO_TIMESTAMP)
struct Object {
  u64 time;
  u64 more;
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Field<"time", 2, &Object::time>,
                                Ignored<&Object::more>>;

// misuse TIMESTAMP_TYPE: groove: the struct needs a member `u64 timestamp`
#elif defined(MISUSE_TIMESTAMP_TYPE)
struct Object {
  u32 timestamp;
  u32 more;
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Ignored<&Object::more>>;

// misuse NO_ID: groove: an IdTree needs a member `u128 id`
#elif defined(MISUSE_NO_ID)
struct Object {
  u64 timestamp;
  u64 more;
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, IdTree<2>, Ignored<&Object::more>>;

// misuse ID_TYPE: groove: an IdTree needs a member `u128 id`
#elif defined(MISUSE_ID_TYPE)
struct Object {
  u64 timestamp;
  u64 id;
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, IdTree<2>, Ignored<&Object::id>>;

// misuse NO_OBJECT_TREE: groove: name one ObjectTree
#elif defined(MISUSE_NO_OBJECT_TREE)
using Wrong = GrooveDescription<"wrong", Plain, IdTree<2>, Author>;

// misuse TWO_OBJECT_TREES: groove: name one ObjectTree
#elif defined(MISUSE_TWO_OBJECT_TREES)
using Wrong = Describe<ObjectTree<9>, Author>;

// misuse TWO_ID_TREES: groove: name one IdTree at most
#elif defined(MISUSE_TWO_ID_TREES)
using Wrong = Describe<IdTree<9>, Author>;

// misuse ORPHANS_WITHOUT_IDS: groove: OrphanedIds needs ids
#elif defined(MISUSE_ORPHANS_WITHOUT_IDS)
using Wrong = GrooveDescription<"wrong", Plain, ObjectTree<1>, Author, Ignored<&Plain::id>, OrphanedIds>;

// misuse TREE_ZERO: groove: tree ids start at 1
#elif defined(MISUSE_TREE_ZERO)
using Wrong = Describe<Field<"author", 0, &Plain::author>>;

// misuse SAME_TREE: groove: two trees have the same id
#elif defined(MISUSE_SAME_TREE)
using Wrong = Describe<Field<"author", 2, &Plain::author>>;

// misuse SAME_NAME: groove: two indexes have the same name
#elif defined(MISUSE_SAME_NAME)
using Wrong = Describe<Author, Derived<"author", 4, &derived>>;

// misuse NAME_ID: groove: the name `id` is that of the id tree
#elif defined(MISUSE_NAME_ID)
using Wrong = Describe<Field<"id", 3, &Plain::author>>;

// misuse OTHER_STRUCT: groove: a member of another struct is named
#elif defined(MISUSE_OTHER_STRUCT)
struct Other {
  u64 author;
};
using Wrong = Describe<Field<"author", 3, &Other::author>>;

// misuse TWICE: groove: a member is named twice
#elif defined(MISUSE_TWICE)
using Wrong = Describe<Author, Ignored<&Plain::author>>;

// misuse TIMESTAMP_NAMED: groove: the id and the timestamp have trees already
#elif defined(MISUSE_TIMESTAMP_NAMED)
using Wrong = Describe<Author, Ignored<&Plain::timestamp>>;

// misuse ID_NAMED: groove: the id and the timestamp have trees already
#elif defined(MISUSE_ID_NAMED)
using Wrong = Describe<Author, Field<"number", 4, &Plain::id>>;

// misuse FORGOTTEN: groove: a member is neither indexed nor Ignored
#elif defined(MISUSE_FORGOTTEN)
using Wrong = Describe<>;

// misuse SIGNED_MEMBER: groove: an indexed member must be an unsigned integer
#elif defined(MISUSE_SIGNED_MEMBER)
struct Object {
  u64 timestamp;
  i64 balance;
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Field<"balance", 2, &Object::balance>>;

// misuse SIGNED_ENUM: groove: an indexed member must be an unsigned integer, or an enum of one
#elif defined(MISUSE_SIGNED_ENUM)
struct Object {
  u64 timestamp;
  Signed kind;
  u32 more;
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Field<"kind", 2, &Object::kind>,
                                Ignored<&Object::more>>;

// misuse BOOL_MEMBER: groove: an indexed member must be an unsigned integer
#elif defined(MISUSE_BOOL_MEMBER)
struct Object {
  u64 timestamp;
  bool flag;
  u8 more[7];
};
using Wrong = GrooveDescription<"wrong", Object, ObjectTree<1>, Field<"flag", 2, &Object::flag>,
                                Ignored<&Object::more>>;

// misuse DERIVED_NOT_OPTIONAL: groove: the function of a Derived index must return std::optional
#elif defined(MISUSE_DERIVED_NOT_OPTIONAL)
using Wrong = Describe<Author, Derived<"derived", 4, &not_optional>>;

// misuse DERIVED_SIGNED: groove: the function of a Derived index must return std::optional of an unsigned
#elif defined(MISUSE_DERIVED_SIGNED)
using Wrong = Describe<Author, Derived<"derived", 4, &derived_signed>>;

// misuse EXISTS_NOT_BOOL: groove: the function of a DerivedExists index must return bool
#elif defined(MISUSE_EXISTS_NOT_BOOL)
using Wrong = Describe<Author, DerivedExists<"exists", 4, &not_bool>>;

// misuse NO_OPTION: groove: a description is made of ObjectTree
#elif defined(MISUSE_NO_OPTION)
using Wrong = Describe<Author, int>;

// misuse FOREST_SAME_TREE: groove: two grooves of the forest have a tree of the same id
#elif defined(MISUSE_FOREST_SAME_TREE)
struct Event {
  u64 timestamp;
};
using Events = GrooveDescription<"events", Event, ObjectTree<3>>;
using WrongForest = GrooveForest<Right, Events>;

// misuse FOREST_SAME_NAME: groove: two grooves of the forest have the same name
#elif defined(MISUSE_FOREST_SAME_NAME)
struct Event {
  u64 timestamp;
};
using Events = GrooveDescription<"plain", Event, ObjectTree<9>>;
using WrongForest = GrooveForest<Right, Events>;

// misuse FOREST_TREES: groove: the forest has more than 64 trees
#elif defined(MISUSE_FOREST_TREES)
constexpr bool yes(const Plain&) { return true; }
template <u16 N>
constexpr FixedString<4> name_of{{'n', '0' + N / 10, '0' + N % 10, 0}};
template <class Numbers>
struct Many;
template <u16... Numbers>
struct Many<std::integer_sequence<u16, Numbers...>> {
  using Groove = Describe<Author, DerivedExists<name_of<Numbers>, 4 + Numbers, &yes>...>;
};
using WrongForest = GrooveForest<Many<std::make_integer_sequence<u16, 62>>::Groove>;

// misuse ORPHANS_UNDECLARED: groove: insert_orphaned_id needs OrphanedIds
#elif defined(MISUSE_ORPHANS_UNDECLARED)
[[maybe_unused]] InsertResult wrong(Groove<Right>& groove) { return groove.insert_orphaned_id(1); }
#define WRONG_WITHOUT_TREES

// misuse SCAN_NAME: groove: no index has this name
#elif defined(MISUSE_SCAN_NAME)
[[maybe_unused]] Scan* wrong(Groove<Right>& groove) { return groove.scan<"nobody">(1); }
#define WRONG_WITHOUT_TREES

// misuse SCAN_WITHOUT_VALUE: groove: an index of values must be asked for one
#elif defined(MISUSE_SCAN_WITHOUT_VALUE)
[[maybe_unused]] Scan* wrong(Groove<Right>& groove) { return groove.scan<"author">(); }
#define WRONG_WITHOUT_TREES

// misuse SCAN_OF_EXISTENCE: groove: an existence index has no values
#elif defined(MISUSE_SCAN_OF_EXISTENCE)
constexpr bool yes(const Plain&) { return true; }
using Existing = Describe<Author, DerivedExists<"exists", 4, &yes>>;
[[maybe_unused]] Scan* wrong(Groove<Existing>& groove) { return groove.scan<"exists">(1); }
#define WRONG_WITHOUT_TREES

// misuse SCAN_IDS: groove: there are no ids to ask for
#elif defined(MISUSE_SCAN_IDS)
using WithoutIds = GrooveDescription<"plain", Plain, ObjectTree<1>, Author, Ignored<&Plain::id>>;
[[maybe_unused]] Scan* wrong(Groove<WithoutIds>& groove) { return groove.scan_ids(1, 2); }
#define WRONG_WITHOUT_TREES

#else
using Wrong = Right;
#endif

#if defined(MISUSE_FOREST_SAME_TREE) || defined(MISUSE_FOREST_SAME_NAME) || defined(MISUSE_FOREST_TREES)
[[maybe_unused]] u32 use() { return static_cast<u32>(sizeof(WrongForest)); }
#elif !defined(WRONG_WITHOUT_TREES)
static_assert(Wrong::trees().size() >= 1);
#endif

}  // namespace

#if !defined(MISUSES)
TEST_CASE("description: the right one among the misuses is right", "[description]") {
  CHECK(Right::trees()[3].id == 4);
  CHECK(Right::has_id);
  CHECK_FALSE(Right::orphaned_ids);
}
#endif

}  // namespace tonearm
