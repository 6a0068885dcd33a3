// The arena's memory map: every fixed address, size and field offset of the store, in one place.
//
//   frame 0        guard: never used, so that address 0 is never a valid object
//   frame 1        header: sizes, addresses, settings, gate (offsets H_* below)
//   frames 2..     lock table, version table, thread slots, frame table, free-frame bitmap,
//                  pool table, client table (their addresses are in the header)
//   firstFrame..   frames handed out: pools, clients, slabs, zbud, zv, raw pages
//   last frame     slack: never handed out, so that 64-byte over-reads at the end stay inside the memory
//
// docs/formats/arena.md is the same map in prose. Change either, change both, and raise LAYOUT_VERSION.

export const LAYOUT_MAGIC: u32 = 0x6d656d74; // "tmem", little-endian
export const LAYOUT_VERSION: u32 = 3;

export const FRAME_SIZE: u32 = 4096;
export const FRAME_SHIFT: u32 = 12;
export const PAGE_SIZE: u32 = 4096;
/** Bytes behind every buffer that a codec may over-read or overwrite. */
export const SLACK: u32 = 64;

// ---- header (at HEADER) -------------------------------------------------------------------------
export const HEADER: usize = 4096;
export const H_MAGIC: usize = HEADER + 0;
export const H_VERSION: usize = HEADER + 4;
export const H_FRAMES: usize = HEADER + 8; // frames of the arena, all of them
export const H_FIRST_FRAME: usize = HEADER + 12; // first frame that can be handed out
export const H_LAST_FRAME: usize = HEADER + 16; // one past the last frame that can be handed out
export const H_THREADS: usize = HEADER + 20; // thread slots
export const H_SLOTS: usize = HEADER + 24; // address of slot 0
export const H_SLOT_BYTES: usize = HEADER + 28;
export const H_FRAME_TABLE: usize = HEADER + 32;
export const H_FREE_BITS: usize = HEADER + 36; // free-frame bitmap, see memory/frame.ts
export const H_POOL_TABLE: usize = HEADER + 40; // 8 bytes a pool id: u32 frame number (0 = no pool), u32 generation
export const H_POOLS_MAX: usize = HEADER + 44;
export const H_CLIENT_TABLE: usize = HEADER + 48; // as the pool table
export const H_CLIENTS_MAX: usize = HEADER + 52;
export const H_KEY: usize = HEADER + 56; // 16 bytes: key of the oid hash
export const H_GATE: usize = HEADER + 72; // 0 = open, else who recovers, as in a lock
export const H_CLOCK: usize = HEADER + 76; // counts frames handed out: the unit of use stamps
export const H_FROZEN: usize = HEADER + 80;
export const H_FREE_FRAMES: usize = HEADER + 84; // backed ones; under the frame lock
export const H_VERIFY: usize = HEADER + 88; // check every page's checksum on get
export const H_STORE_INCOMPRESSIBLE: usize = HEADER + 92; // keep what does not compress raw
export const H_UNBUDDIED_FIRST: usize = HEADER + 96; // zbud reclaim order of the original
export const H_ZV_MAX_PAGE_BYTES: usize = HEADER + 100;
export const H_ZV_MAX_MEAN_BYTES: usize = HEADER + 104;
export const H_PERSISTENT_LIMIT_PAGES: usize = HEADER + 108; // 0 = off
export const H_STAGING_PAGES: usize = HEADER + 112; // staging pages a thread slot
export const H_LOCK_TIMEOUT_MS: usize = HEADER + 116;
export const H_FAIL_COUNTDOWN: usize = HEADER + 120; // debug: fail the n-th allocation; 0 = off
export const H_ALLOCATIONS: usize = HEADER + 124; // debug: allocations counted since it was last cleared
export const H_DOOMED_POOLS: usize = HEADER + 128; // pools with detached trees waiting to be freed (hint)
export const H_SCAN_HAND: usize = HEADER + 132; // where the search for reclaimable slab frames goes on
export const H_PERSISTENT_PAGES: usize = HEADER + 136; // kept only while the limit above is on
export const H_RECOVERIES: usize = HEADER + 140;
/** Upper bound that Binaryen's safe-heap checks compare addresses with (debug build). */
export const H_ADDRESS_MAX: usize = HEADER + 144;
export const H_FREE_FRAMES_MIN: usize = HEADER + 148; // fewest frames not in use ever: gives the maximum in use
export const H_DEBUG_MAX_SLOTS_LOCKED: usize = HEADER + 152; // debug: most index slots touched in one lock hold
export const H_LOCK_WAITS: usize = HEADER + 156; // times a lock was not free at the first look
export const H_LOCK_TIMEOUTS: usize = HEADER + 160;
export const H_SHRINKS: usize = HEADER + 164;
export const H_POOLS_HIGH: usize = HEADER + 168; // one above the highest pool id ever used
export const H_BACKED_BITS: usize = HEADER + 172; // frames with memory behind them, see memory/backing.ts
export const H_UNBACKED: usize = HEADER + 176; // frames that are nobody's and have none; under the frame lock
export const H_LOW_EDGE: usize = HEADER + 180; // frames below were backed for the low end (a hint)
export const H_BACKING_FAILED: usize = HEADER + 184; // the host had no memory for the last frames asked for
export const H_BACKINGS: usize = HEADER + 188; // times frames were backed
export const H_GIVEN_BACK: usize = HEADER + 192; // u64: frames given back to the operating system, ever
export const H_UNBACK_HAND: usize = HEADER + 200; // bitmap word where giving back goes on
export const H_ARENA: usize = HEADER + 204; // which of the store's arenas this is
export const H_ARENAS: usize = HEADER + 208; // arenas of the store
export const H_STORE_ID: usize = HEADER + 212; // 16 random bytes, the same in all arenas of a store
export const H_CREATED_MS: usize = HEADER + 232; // f64: Unix time
export const H_GROWTH_STOPPED: usize = HEADER + 228; // memory is short: no frame is backed
export const H_ORPHANS_PUT: usize = HEADER + 244; // records ever put into the ring, modulo 2^32
export const H_ORPHANS_TAKEN: usize = HEADER + 248;
export const H_ORPHANS_LOST: usize = HEADER + 252; // there was no room for
export const H_SETTINGS_BYTES: usize = HEADER + 240; // length of the text at H_SETTINGS
export const H_RETIRED_STORE: usize = HEADER + 512; // u64 counters of clients that were removed
export const H_SETTINGS: usize = HEADER + 1024; // the store's settings as JSON, to the end of the frame
export const SETTINGS_BYTES_MAX: u32 = 3072;

// ---- locks (at LOCKS): 64 bytes apart, so that two locks never share a cache line ---------------------
export const LOCKS: usize = 2 * 4096;
export const LOCK_BYTES: u32 = 64;
/** Index locks: a power of two; a pool's 64 root slots map to 64 different ones. */
export const STRIPES: u32 = 512;
/** Clients share this many sets of locks: a power of two. */
export const CLIENT_LOCK_SETS: u32 = 64;
export const CLIENT_LOCKS: usize = LOCKS + STRIPES * LOCK_BYTES; // sets of 4: slab, zbud, zv, raw
export const CLIENT_LOCK_KINDS: u32 = 4;
export const FRAME_LOCK: usize = CLIENT_LOCKS + CLIENT_LOCK_SETS * CLIENT_LOCK_KINDS * LOCK_BYTES;
export const ADMIN_LOCK: usize = FRAME_LOCK + LOCK_BYTES; // pool and client tables
export const RECLAIM_LOCK: usize = ADMIN_LOCK + LOCK_BYTES; // one evictor at a time
export const BACKING_LOCK: usize = RECLAIM_LOCK + LOCK_BYTES; // which frames have memory behind them
export const ORPHAN_LOCK: usize = BACKING_LOCK + LOCK_BYTES; // the ring of records of remote pages
export const LOCKS_END: usize = ORPHAN_LOCK + LOCK_BYTES;

// ---- version table: one u32 a hash of handle, raised with every change of a slot word -----------------
export const VERSIONS: usize = (LOCKS_END + 4095) & ~4095;
/** Entries of the version table: a power of two; handles that share one only retry a little more. */
export const VERSION_ENTRIES: u32 = 4096;

// ---- orphans: records of remote pages that left the index, see memory/orphans.ts -------------------------
export const ORPHANS: usize = VERSIONS + VERSION_ENTRIES * 4;
export const ORPHAN_BYTES: u32 = 64; // u32 length, and the record
/** Entries of the ring: a power of two. What does not fit is found by the sweep of the peers. */
export const ORPHAN_ENTRIES: u32 = 512;
export const FIXED_END: usize = ORPHANS + ORPHAN_BYTES * ORPHAN_ENTRIES;

// ---- frame kinds (low 4 bits of a frame's table entry) --------------------------------------------------
export const KIND_FREE: u32 = 0;
export const KIND_FIXED: u32 = 1;
export const KIND_POOL: u32 = 2;
export const KIND_CLIENT: u32 = 3;
export const KIND_ZV_HEAP: u32 = 4; // control area of a zv heap
export const KIND_SLAB_EPH: u32 = 5;
export const KIND_SLAB_PERS: u32 = 6;
export const KIND_ZBUD_EPH: u32 = 7;
export const KIND_ZV_EPH: u32 = 8;
export const KIND_ZV_PERS: u32 = 9;
export const KIND_ZBUD_PERS: u32 = 10;
export const KIND_RAW_EPH: u32 = 11;
export const KIND_RAW_PERS: u32 = 12;
export const KINDS: u32 = 16;

// ---- thread slot --------------------------------------------------------------------------------------------
export const SLOT_FREE: u32 = 0;
export const SLOT_IDLE: u32 = 1;
export const SLOT_BUSY: u32 = 2;
export const SLOT_DEAD: u32 = 3; // its thread ended in an operation: recover before reuse
export const SLOT_ABANDONED: u32 = 4; // its thread lives, but left an operation in the middle: recover
export const SLOT_RECOVERING: u32 = 5; // its thread leads a recovery

export const S_STATE: usize = 0;
export const S_GENERATION: usize = 4;
export const S_THREAD_ID: usize = 8;
/** Frame of object slabs this thread is looking into without a lock; 0 = none (a hazard pointer). */
export const S_HAZARD: usize = 12;
export const S_POOL2: usize = 16; // pool id + 1 of a second pool in use
export const S_POOL3: usize = 20; // pool id + 1 of a pool whose left-over pages are being freed
export const S_PROCESS: usize = 24; // process id, as its process sees it
export const S_NAMESPACE: usize = 28; // pid namespace of that process
export const S_NONCE: usize = 32; // 8 bytes, to find out whether file and memory are one
export const S_RESERVE: usize = 64; // cells taken for the running operation, see tmem/reserve.ts
export const S_PATH: usize = 1024; // parents of the slot being changed, see tmem/tree.ts
export const S_GATHER: usize = 1152; // words cleared under a lock, freed after it: GATHER_WORDS u32
export const GATHER_WORDS: u32 = 160;
export const S_CELLS: usize = 1792; // nodes and leaves unlinked under a lock, freed after it: CELLS_WORDS u32
export const CELL_WORDS: u32 = 96;
export const S_WALK: usize = 2304; // walk: cursor in, handles out
export const WALK_BATCH: u32 = 64;
export const S_SPREAD: usize = 2688; // 16 keys and words of a leaf that becomes a node
export const S_ARGUMENTS: usize = 2816; // names and UUIDs handed in by the host (256 bytes), lists of results
export const S_VICTIM: usize = 4064; // reclaim: descriptor of a zv page, copied under the zv lock
export const S_TABLE: usize = 4096; // codec hash table
export const S_IN: usize = S_TABLE + 8192; // page copied in, with room for codecs that read or write a little behind it
export const S_OUT: usize = S_IN + 8192; // page copied out
export const S_PACKED: usize = S_OUT + 8192; // compressed bytes
export const S_PAGE: usize = S_PACKED + 8192; // page being changed in part, or moved between pools
export const S_STAGING: usize = S_PAGE + 8192;

// ---- pool frame ---------------------------------------------------------------------------------------------
export const ROOTS: u32 = 64; // root slots of a pool, one a stripe
export const P_ID: usize = 0;
export const P_CLIENT: usize = 4;
export const P_FLAGS: usize = 8; // POOL_* bits
export const P_STATE: usize = 12; // POOL_LIVE, POOL_DYING
export const P_CODEC: usize = 16;
export const P_PAM: usize = 20;
export const P_LIMIT_PAGES: usize = 24; // raw pools: pages above this are demoted; 0 = no limit
export const P_DEMOTE_TO: usize = 28; // name of a pool (tmem/pool.ts); 0 = none
export const P_NAME_LENGTH: usize = 32;
export const P_TWIN: usize = 36; // name of the pool in the store's first arena (there: 0)
export const P_DOOMED: usize = 40; // 1 = something detached is waiting in P_DOOMED_TREES or _OBJECTS
export const P_UUID: usize = 48; // 16 bytes, shared pools
export const P_NAME: usize = 64; // 64 bytes
export const P_MEMBERS: usize = 128; // shared pools: 128 bytes, a bit a client id that was granted (ids below 1024)
export const P_ROOTS: usize = 256;
export const P_DOOMED_TREES: usize = 512;
export const P_DOOMED_OBJECTS: usize = 768;
export const P_PAGES: usize = 1024; // u32 a root slot: pages now, changed under its stripe
export const P_HIGH_WATER: usize = 1280; // u64 x 4: most pages, compressed bytes, objects, nodes
export const P_RAW_LIST: usize = 1312; // raw cells by age: oldest, youngest (addresses), and how many
export const P_COUNTERS: usize = 1536; // COUNTER_SHARDS x POOL_COUNTER_WORDS u64, to the end of the frame
/** Thread slots share shards only when there are more threads than shards. */
export const COUNTER_SHARDS: u32 = 8;
export const POOL_COUNTER_WORDS: u32 = 40;

export const POOL_LIVE: u32 = 1;
export const POOL_DYING: u32 = 2;

export const POOL_PERSISTENT: u32 = 1;
export const POOL_SHARED: u32 = 2;

/** 64-byte bins of a size histogram. */
export const HISTOGRAM_BINS: u32 = 64;

export const PAM_ZBUD: u32 = 0;
export const PAM_ZV: u32 = 1;
export const PAM_RAW: u32 = 2;

// ---- client frame -------------------------------------------------------------------------------------------
export const C_ID: usize = 0;
export const C_STATE: usize = 4; // 1 = live, 2 = being removed
export const C_WEIGHT: usize = 8;
export const C_CAP_FRAMES: usize = 12; // 0 = no cap
export const C_FRAMES: usize = 16; // frames held, all kinds, atomic
export const C_FROZEN: usize = 20;
export const C_NAME_LENGTH: usize = 24;
export const C_FRAMES_MAX: usize = 28;
export const C_TWIN: usize = 32; // name of the client in the store's first arena (there: 0)
export const C_NAME: usize = 64; // 64 bytes
export const C_KINDS: usize = 128; // u32 a frame kind: frames held, atomic
export const C_SLABS: usize = 192; // u32 a slab class: first frame with a free cell
export const C_ZV_HEAPS: usize = 256; // 2 x u32: heap address, ephemeral and persistent
export const C_ZV_HAND: usize = 264; // next zv frame to reclaim
export const C_GROUPS: usize = 288; // 4 x u32: frames of zbud, zv, raw, everything else, atomic
export const C_GROUPS_MAX: usize = 304; // 4 x u32
export const C_ZBUD: usize = 512; // 2 x ZBUD_LISTS_BYTES: ephemeral, persistent
export const ZBUD_LISTS_BYTES: usize = 320;
export const C_ZBUD_HISTOGRAM: usize = 1152; // u64 x 64: cumulative chunk counts
export const C_COUNTERS: usize = 1792; // CLIENT_COUNTER_WORDS u64, atomic
/** Words of a client's row (src/zcache/client-counters.ts); the arena keeps the event counters among them. */
export const CLIENT_COUNTER_WORDS: u32 = 32;
export const C_RETIRED: usize = 2048; // POOL_COUNTER_WORDS u64 of pools that were destroyed
