// Marks name the interesting events of the engine ("a tombstone was dropped", "a table moved").
//
// The engine only announces them. A harness installs a hook to count them (which states did a
// campaign ever reach?) and to look again at the keys they carry. Without a hook a mark is one
// predictable branch. A mark never changes what the engine does.
#pragma once

#include "base/key.h"
#include "base/types.h"

namespace tonearm {

// One line each: identifier and the sentence that `tonearm marks` prints.
#define TONEARM_MARKS(X)                                                                         \
  X(table_memory_annihilated, "a put and its tombstone cancelled out in a memory table")         \
  X(table_memory_superseded, "a memory table dropped an older version of a key")                 \
  X(table_memory_emptied, "cancellation emptied a memory table")                                 \
  X(table_memory_absorbed, "an immutable table that was not flushed absorbed the mutable")       \
  X(flush_deferred, "a small immutable table was kept for another bar")                          \
  X(flush_forced, "a small immutable table was flushed because a checkpoint is due")             \
  X(level0_coalesced, "a flush took adjacent small tables of level 0 along")                     \
  X(deeper_coalesced, "a merge into a deeper level took adjacent small tables along")            \
  X(table_moved, "a table moved one level down without a merge")                                 \
  X(table_boundary, "compaction began a new output table")                                       \
  X(merge_superseded, "a merge dropped an older version of a key")                               \
  X(merge_annihilated, "a put and its tombstone cancelled out in a merge")                       \
  X(merge_to_nothing, "a merge produced no table at all")                                        \
  X(merge_into_level0, "the immutable table was merged into level 0")                            \
  X(merge_into_level1, "a merge into level 1")                                                   \
  X(merge_into_deeper, "a merge into level 2 or deeper")                                         \
  X(tombstone_dropped, "a merge dropped a tombstone with nothing below")                         \
  X(tombstone_kept, "a merge kept a tombstone because a deeper table overlaps")                  \
  X(compaction_suspended, "a compaction was suspended at the end of a beat")                     \
  X(compaction_budget_min, "a compaction ran with the least possible number of blocks")          \
  X(merge_several_tables, "a merge took in several tables of the level below")                   \
  X(table_several_blocks, "compaction finished a table of several value blocks")                 \
  X(level_emptied, "a level above a table has become empty")                                     \
  X(lookup_memory, "a lookup was answered by the mutable table")                                 \
  X(lookup_immutable, "a lookup was answered by the immutable table")                            \
  X(lookup_cache, "a lookup was answered from cached blocks")                                    \
  X(lookup_storage, "a lookup had to read blocks")                                               \
  X(lookup_gap_index, "a lookup fell between two value blocks of an index block")                \
  X(lookup_tombstone, "a lookup ended at a tombstone on disk")                                   \
  X(lookup_deep, "a lookup went to level 2 or deeper")                                           \
  X(lookup_fell_through, "a lookup did not find its key in a table and went on below")           \
  X(key_range_excluded, "a key outside the key range of its tree was not looked up")             \
  X(batch_full, "a change was refused because the op was full")                                  \
  X(scope_discarded, "a scope with changes was discarded")                                       \
  X(scope_persisted, "a scope with changes was kept")                                            \
  X(scan_across_tables, "a scan went on from one table of a level to the next")                  \
  X(scan_table_gap, "a scan range fell between the value blocks of a table")                     \
  X(scan_merge_versions, "a scan met several versions of one key")                               \
  X(scan_tombstone, "a scan skipped a tombstone")                                                \
  X(scan_block_gap, "a scan range fell into a gap inside a value block")                         \
  X(scan_three_versions, "a scan met three versions of one key")                                 \
  X(scan_three_levels, "a scan met three versions of one key, each in another level")            \
  X(scan_read_again_level0, "a scan had to read level 0")                                        \
  X(scan_read_again_level1, "a scan had to read level 1")                                        \
  X(scan_read_again_deep, "a scan had to read level 2 or deeper")                                \
  X(scan_probe_idle, "a probe was not beyond the beginning of what its scan wants")              \
  X(scan_probe_lagging, "a probe lagged behind what its scan had returned")                      \
  X(scan_probe_ended, "a probe beyond the range ended its scan")                                 \
  X(scan_probe_needs_data, "a probe came to a scan that had to read")                            \
  X(scan_probe_resliced, "a probe dropped some of the values at hand")                           \
  X(scan_probe_block_skipped, "a probe spared a scan value blocks of a table")                   \
  X(scan_probe_table_skipped, "a probe spared a scan a table, or the rest of one")               \
  X(scan_probe_tables_leapt, "a probe spared a scan several tables of a level")                  \
  X(scan_aborted, "a scan was aborted")                                                          \
  X(scan_buffers_full, "a scan was refused because too many were open")                          \
  X(scan_orphan_skipped, "a scan of ids skipped an orphaned one")                                \
  X(scan_sorted_again, "a scan of a range of values had to walk it once more")                   \
  X(scan_union_of_aborted, "a union went on without an operand that a probe had ended")          \
  X(scan_difference_pending, "a difference waited for what is subtracted")                       \
  X(scan_intersection_pending, "an intersection probed an operand that had to read")             \
  X(scan_merge_read_nothing, "a merge was to read, and none of its operands had to")             \
  X(manifest_node_split, "a full node of a level was split")                                     \
  X(manifest_node_joined, "two nodes of a level became one")                                     \
  X(manifest_removed_at_open, "open met the removal of a table in the manifest log")             \
  X(manifest_moved_at_open, "open put a table where a move had brought it")                      \
  X(manifest_block_closed_full, "a manifest block was closed because it was full")               \
  X(manifest_block_closed_partial, "a manifest block was closed partly filled")                  \
  X(manifest_compacted, "a manifest block was compacted")                                        \
  X(manifest_compacted_full_rate, "the manifest was compacted at full rate")                     \
  X(manifest_entry_dropped, "manifest compaction dropped a dead entry")                          \
  X(manifest_entry_kept, "manifest compaction appended a live entry again")                      \
  X(grid_read_coalesced, "a read joined another read of the same block in flight")               \
  X(grid_read_from_write, "a read was served from a write in flight")                            \
  X(grid_read_queued, "a read waited for a free I/O slot")                                       \
  X(grid_write_queued, "a write waited for a free I/O slot")                                     \
  X(grid_read_retried, "a read was tried again")                                                 \
  X(grid_read_mirrored, "a block that the first side does not have was read from the mirror")    \
  X(grid_read_repaired, "a read wrote the first side again from the mirror")                     \
  X(grid_repair_failed, "a block could not be written again")                                    \
  X(grid_repair_left, "a block was not written again because somebody else was reading it")      \
  X(grid_cache_evicted, "the block cache evicted a block")                                       \
  X(grid_cache_demoted, "a released block was demoted in the cache")                             \
  X(grid_cache_tag_collision, "two cached blocks of one set have the same tag")                  \
  X(read_block_invalid_checksum, "a block read had a wrong header checksum")                     \
  X(read_block_unexpected_command, "a block read was no grid block")                             \
  X(read_block_invalid_checksum_body, "a block read had a wrong body checksum")                  \
  X(read_block_unexpected_checksum, "a block read was another valid block")                      \
  X(read_block_invalid_padding, "a block read had bytes behind its end")                         \
  X(read_block_failed, "a block could not be read")                                              \
  X(free_set_reused, "an address was acquired that had been freed by a checkpoint")              \
  X(free_set_released_before_durable, "a block was released while a checkpoint was not durable") \
  X(free_set_shard_full, "a shard of the free set became full")                                  \
  X(checkpoint_done, "a checkpoint became durable")                                              \
  X(checkpoint_unchanged_trailer, "a checkpoint wrote an empty trailer")                         \
  X(checkpoint_sync_failed, "the sync of a checkpoint failed")                                   \
  X(checkpoint_trailer_chained, "a trailer took several blocks")                                 \
  X(superblock_none_at_open, "open found no superblock that it may take")                        \
  X(superblock_copy_repaired, "a bad superblock copy was written again at open")                 \
  X(superblock_mixed_at_open, "copies of two sequences were found at open")                      \
  X(superblock_torn_at_open, "a superblock copy with a wrong checksum was found at open")        \
  X(superblock_misread_at_open, "superblock copies that were read again were others")            \
  X(replay_op_compacted, "a replayed op skipped its compaction")                                 \
  X(storage_full, "an op or a checkpoint found too few free blocks")                             \
  X(cache_map_stashed, "a young object was evicted into the stash")                              \
  X(cache_map_stashed_in_scope, "a young object was evicted into the stash in a scope")          \
  X(cache_map_rolled_back_from_stash, "a discarded insert was found in the stash")               \
  X(prefetch_cached, "a prefetch found its object in the object cache")                         \
  X(prefetch_orphan_cached, "a prefetch found an orphaned id in the object cache")              \
  X(prefetch_tombstone_cached, "a prefetch met a removal in the object cache")                  \
  X(prefetch_memory, "a prefetch was answered by a memory table")                               \
  X(prefetch_tombstone_memory, "a prefetch met a removal in a memory table")                    \
  X(prefetch_level0, "a prefetch was answered by level 0")                                      \
  X(prefetch_level1, "a prefetch was answered by level 1")                                      \
  X(prefetch_deep, "a prefetch was answered by level 2 or deeper")                              \
  X(prefetch_orphan, "a prefetch found an orphaned id in the id tree")                          \
  X(prefetch_key_range, "an id outside the key range of its tree was not looked up")            \
  X(prefetch_invalid_key, "a key that no object may have was prefetched")                       \
  X(prefetch_duplicate, "a key was enqueued twice for prefetching")                             \
  X(prefetch_full, "a key was refused because the op may prefetch no more")                     \
  X(prefetch_synchronous, "a prefetch had nothing to wait for")                                 \
  X(prefetch_asynchronous, "a prefetch had to read blocks")                                     \
  X(prefetch_parallel, "several workers of a prefetch read at the same time")                   \
  X(prefetch_failed, "a prefetch met a damaged block")                                          \
  X(groove_full, "a change of an object was refused because the op was full")                   \
  X(groove_refused, "a change of an object was refused because the forest has an error")        \
  X(groove_index_added, "an update added an index entry")                                       \
  X(groove_index_removed, "an update removed an index entry")                                   \
  X(groove_index_moved, "an update moved an index entry")                                       \
  X(groove_inserted_again, "an object was inserted in the bar in which its key was removed")    \
  X(groove_removed, "an object was removed")                                                    \
  X(groove_orphaned, "an id was orphaned")                                                      \
  X(groove_upsert_equal, "an upsert found the object as it was to be")                          \
  X(groove_exists_changed, "the op itself had changed whether an object exists")                \
  X(groove_after_error, "a prefetch looked beyond the bar that an error had ended")             \
  X(lookup_buffer_finished, "a lookup of scanned objects filled its buffer")                    \
  X(lookup_resumed_seeking, "a lookup went on with a scan that needed no read")                 \
  X(lookup_parallel, "several objects of a scan were read at the same time")                    \
  X(lookup_object_memory, "an object of a scan was in a memory table")                          \
  X(lookup_object_cached, "an object of a scan was in the object cache")                        \
  X(cache_map_restored, "a discarded scope brought an object back")                             \
  X(cache_map_tombstone_restored, "a discarded scope brought a removal back")                   \
  X(cache_map_insert_undone, "a discarded scope took an insert back")                           \
  X(scrub_tour_done, "a scrub tour came to its end")                                             \
  X(scrub_skipped_released, "a scrub left out what was released meanwhile")                      \
  X(scrub_damage_found, "a scrub found a damaged block")                                         \
  X(scrub_repaired, "a scrub wrote the first side of a block again from the mirror")             \
  X(scrub_repaired_mirror, "a scrub wrote the mirror of a block again from the first side")      \
  X(sticky_error, "the forest refused an operation after an error")

enum class Mark : u16 {
#define X(name, text) name,
  TONEARM_MARKS(X)
#undef X
};

inline constexpr u32 mark_count = 0
#define X(name, text) +1
    TONEARM_MARKS(X)
#undef X
    ;

const char* mark_name(Mark mark);
const char* mark_text(Mark mark);

// `tree` is 0 and `key` null where the event has none.
struct MarkHook {
  void* context = nullptr;
  void (*hit)(void* context, Mark mark, u16 tree, const Key* key) = nullptr;
};
MarkHook set_mark_hook(MarkHook hook);  // Returns the old one.

namespace detail {
extern MarkHook mark_hook;
}

inline void mark(Mark event, u16 tree = 0, const Key* key = nullptr) {
  if (detail::mark_hook.hit != nullptr) detail::mark_hook.hit(detail::mark_hook.context, event, tree, key);
}

}  // namespace tonearm
