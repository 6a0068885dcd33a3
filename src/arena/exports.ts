/**
 * The typed face of the wasm module's exports (arena/index.ts). Addresses are byte offsets in the memory and come as
 * signed 32-bit numbers: above 2 GiB they are negative until `>>> 0`. An oid is six u32 words.
 */

type U32 = number;
type Address = number;
/** Pools and clients go by names: id and generation of their table entry. Here: pool, six oid words, index. */
type Handle = [pool: U32, a: U32, b: U32, c: U32, d: U32, e: U32, f: U32, index: U32];

/** What an arena is formatted with; frames of 4096 bytes. */
type ArenaTableSizes = [frames: U32, threads: U32, pools: U32, clients: U32, stagingPages: U32];

export interface ArenaFunctions {
  format(
    frames: U32,
    threads: U32,
    pools: U32,
    clients: U32,
    stagingPages: U32,
    ...key: [U32, U32, U32, U32]
  ): number;
  formatFirstFrame(...sizes: ArenaTableSizes): U32;
  headerIsSound(...sizes: ArenaTableSizes): number;
  slotClaim(threadId: U32, process: U32): number;
  slotTake(slot: U32, threadId: U32, process: U32, namespace: U32): number;
  slotBury(slot: U32): number;
  slotRelease(): void;
  abandonOperation(): void;
  slotsThreadEnded(threadId: U32): number;
  inAddress(): Address;
  outAddress(): Address;
  argumentsAddress(): Address;
  walkAddress(): Address;
  stagingAddress(): Address;

  pagePut(...args: [...Handle, source: Address, length: U32]): number;
  pageReplace(...args: [...Handle, source: Address, length: U32]): number;
  pageGet(...args: [...Handle, target: Address, capacity: U32, mode: U32]): number;
  pageFlush(...args: Handle): number;
  pageReadAt(...args: [...Handle, offset: U32, target: Address, length: U32]): number;
  pageWriteAt(...args: [...Handle, offset: U32, source: Address, length: U32]): number;
  pageExchange(...args: [...Handle, source: Address, length: U32]): number;
  pageExchanged(): number;
  pageLook(...args: Handle): number;
  pageSendAway(
    ...args: [...Handle, word: U32, version: U32, length: U32, sum: U32, record: Address, bytes: U32]
  ): number;
  pageBringHome(
    ...args: [
      ...Handle,
      word: U32,
      version: U32,
      codec: U32,
      length: U32,
      sum: U32,
      source: Address,
      bytes: U32,
    ]
  ): number;
  pageForget(...args: [...Handle, word: U32, version: U32, orphaned: U32]): number;
  decodeStored(codec: U32, length: U32, sum: U32, source: Address, bytes: U32): number;
  orphanNext(): number;
  rangePut(...args: [...Handle, source: Address, pages: U32, from: U32]): void;
  rangeGet(...args: [...Handle, target: Address, pages: U32, from: U32, mode: U32]): void;
  rangeDone(): number;
  isCommitted(): number;
  committedResult(): number;
  rangeFind(...args: [...Handle, pages: U32]): number;
  objectFlush(pool: U32, a: U32, b: U32, c: U32, d: U32, e: U32, f: U32): number;

  openClient(nameLength: U32, weight: U32, capFrames: U32, twin: U32): number;
  forgetClient(client: U32): number;
  setClientWord(client: U32, offset: U32, value: U32): number;
  openPool(
    client: U32,
    nameLength: U32,
    flags: U32,
    codec: U32,
    pam: U32,
    byUuid: U32,
    limitPages: U32,
    demoteTo: U32,
    twin: U32,
  ): number;
  staleName(): U32;
  emptyPool(pool: U32): number;
  removePool(pool: U32): number;
  grant(pool: U32, client: U32, granted: U32): number;
  isGranted(pool: U32, client: U32): number;
  poolWalk(pool: U32): number;
  poolWalkRecords(pool: U32): number;
  remotePagesOf(pool: U32): U32;
  poolFrame(pool: U32): Address;
  clientFrame(client: U32): Address;
  pagesOf(pool: U32): number;
  pagesOfFrame(frame: U32): number;

  shrinkBy(frames: U32): number;
  giveBack(frames: U32): U32;
  backEverything(): number;
  drainSteps(steps: U32): number;
  trimClient(client: U32): number;
  setCodec(pool: U32, codec: U32): number;
  recoverNow(always: U32, waitMs: U32): number;
  recoveryIsNeeded(): number;
  pauseBegin(waitMs: U32): void;
  pauseEnd(): void;
  zvHeapCheck(client: U32, heap: U32): U32;
  poolStatistics(pool: U32): Address;
  clientStatistics(client: U32): Address;
}

/** Constants of the layout that the host uses; the arena's own source is where they are defined and explained. */
const LAYOUT_NAMES = [
  'CLIENT_COUNTER_WORDS',
  'C_CAP_FRAMES',
  'C_FRAMES',
  'C_FROZEN',
  'C_KINDS',
  'C_NAME',
  'C_NAME_LENGTH',
  'C_TWIN',
  'C_WEIGHT',
  'HISTOGRAM_BINS',
  'H_ADDRESS_MAX',
  'H_ALLOCATIONS',
  'H_ARENA',
  'H_ARENAS',
  'H_BACKED_BITS',
  'H_BACKING_FAILED',
  'H_CLIENTS_MAX',
  'H_CLIENT_TABLE',
  'H_CLOCK',
  'H_CREATED_MS',
  'H_DEBUG_MAX_SLOTS_LOCKED',
  'H_DOOMED_POOLS',
  'H_FAIL_COUNTDOWN',
  'H_FIRST_FRAME',
  'H_FRAMES',
  'H_FRAME_TABLE',
  'H_FREE_BITS',
  'H_FREE_FRAMES',
  'H_FREE_FRAMES_MIN',
  'H_FROZEN',
  'H_GATE',
  'H_GIVEN_BACK',
  'H_GROWTH_STOPPED',
  'H_LAST_FRAME',
  'H_LOCK_TIMEOUTS',
  'H_LOCK_TIMEOUT_MS',
  'H_LOCK_WAITS',
  'H_MAGIC',
  'H_ORPHANS_LOST',
  'H_ORPHANS_PUT',
  'H_ORPHANS_TAKEN',
  'H_PERSISTENT_LIMIT_PAGES',
  'H_POOLS_MAX',
  'H_POOL_TABLE',
  'H_RECOVERIES',
  'H_RETIRED_STORE',
  'H_SETTINGS',
  'H_SETTINGS_BYTES',
  'H_SHRINKS',
  'H_SLOTS',
  'H_SLOT_BYTES',
  'H_STAGING_PAGES',
  'H_STORE_ID',
  'H_STORE_INCOMPRESSIBLE',
  'H_THREADS',
  'H_UNBACKED',
  'H_UNBUDDIED_FIRST',
  'H_VERIFY',
  'H_VERSION',
  'H_ZV_MAX_MEAN_BYTES',
  'H_ZV_MAX_PAGE_BYTES',
  'KIND_RAW_EPH',
  'KIND_RAW_PERS',
  'KIND_ZBUD_EPH',
  'KIND_ZBUD_PERS',
  'KIND_ZV_EPH',
  'KIND_ZV_PERS',
  'LAYOUT_MAGIC',
  'LAYOUT_VERSION',
  'POOL_COUNTER_WORDS',
  'P_CLIENT',
  'P_CODEC',
  'P_DEMOTE_TO',
  'P_FLAGS',
  'P_LIMIT_PAGES',
  'P_NAME',
  'P_NAME_LENGTH',
  'P_PAM',
  'P_STATE',
  'P_TWIN',
  'P_UUID',
  'SETTINGS_BYTES_MAX',
  'SLOT_BUSY',
  'SLOT_FREE',
  'SLOT_IDLE',
  'S_NAMESPACE',
  'S_NONCE',
  'S_PROCESS',
  'S_STATE',
  'S_THREAD_ID',
] as const;

export type ArenaLayout = Readonly<Record<(typeof LAYOUT_NAMES)[number], number>>;

/** Reads the layout's constants from a module's exported globals. */
export function layoutOf(exports: Record<string, unknown>): ArenaLayout {
  const entries = LAYOUT_NAMES.map((name) => {
    const global = exports[name] as { value: number } | undefined;
    if (global === undefined) throw new Error(`the arena module exports no ${name}: build it again`);
    return [name, global.value >>> 0] as const;
  });
  return Object.fromEntries(entries) as ArenaLayout;
}
