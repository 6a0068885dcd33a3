// The arena's exports: what the host (src/arena) may call. Addresses are those inside the memory. Every call but those
// below is one operation, enter ... leave: if it is unwound by an abort in between, the host calls abandonOperation and
// recovers.

import { S_ARGUMENTS, S_IN, S_OUT, S_STAGING, S_WALK } from './memory/layout';
import { slotAbandon, slotAddress } from './memory/slot';
import { nodesChanged } from './tmem/reserve';

export {
  CLIENT_COUNTER_WORDS,
  C_CAP_FRAMES,
  C_FRAMES,
  C_FROZEN,
  C_KINDS,
  C_NAME,
  C_NAME_LENGTH,
  C_TWIN,
  C_WEIGHT,
  HISTOGRAM_BINS,
  H_ADDRESS_MAX,
  H_ALLOCATIONS,
  H_ARENA,
  H_ARENAS,
  H_BACKED_BITS,
  H_BACKING_FAILED,
  H_CLIENTS_MAX,
  H_CLIENT_TABLE,
  H_CLOCK,
  H_CREATED_MS,
  H_DEBUG_MAX_SLOTS_LOCKED,
  H_DOOMED_POOLS,
  H_FAIL_COUNTDOWN,
  H_FIRST_FRAME,
  H_FRAMES,
  H_FRAME_TABLE,
  H_FREE_BITS,
  H_FREE_FRAMES,
  H_FREE_FRAMES_MIN,
  H_FROZEN,
  H_GATE,
  H_GIVEN_BACK,
  H_GROWTH_STOPPED,
  H_LAST_FRAME,
  H_LOCK_TIMEOUTS,
  H_LOCK_TIMEOUT_MS,
  H_LOCK_WAITS,
  H_MAGIC,
  H_ORPHANS_LOST,
  H_ORPHANS_PUT,
  H_ORPHANS_TAKEN,
  H_PERSISTENT_LIMIT_PAGES,
  H_POOLS_MAX,
  H_POOL_TABLE,
  H_RECOVERIES,
  H_RETIRED_STORE,
  H_SETTINGS,
  H_SETTINGS_BYTES,
  H_SHRINKS,
  H_SLOTS,
  H_SLOT_BYTES,
  H_STAGING_PAGES,
  H_STORE_ID,
  H_STORE_INCOMPRESSIBLE,
  H_THREADS,
  H_UNBACKED,
  H_UNBUDDIED_FIRST,
  H_VERIFY,
  H_VERSION,
  H_ZV_MAX_MEAN_BYTES,
  H_ZV_MAX_PAGE_BYTES,
  KIND_RAW_EPH,
  KIND_RAW_PERS,
  KIND_ZBUD_EPH,
  KIND_ZBUD_PERS,
  KIND_ZV_EPH,
  KIND_ZV_PERS,
  LAYOUT_MAGIC,
  LAYOUT_VERSION,
  POOL_COUNTER_WORDS,
  P_CLIENT,
  P_CODEC,
  P_DEMOTE_TO,
  P_FLAGS,
  P_LIMIT_PAGES,
  P_NAME,
  P_NAME_LENGTH,
  P_PAM,
  P_STATE,
  P_TWIN,
  P_UUID,
  SETTINGS_BYTES_MAX,
  SLOT_BUSY,
  SLOT_FREE,
  SLOT_IDLE,
  S_NAMESPACE,
  S_NONCE,
  S_PROCESS,
  S_STATE,
  S_THREAD_ID,
} from './memory/layout';
export { committedResult, isCommitted } from './memory/commit';
export { pauseBegin, pauseEnd, recoveryIsNeeded } from './memory/gate';
export { format, formatFirstFrame, headerIsSound } from './memory/format';
export { slotBury, slotClaim, slotRelease, slotTake, slotsThreadEnded } from './memory/slot';
export {
  objectFlush,
  pageBringHome,
  pageExchange,
  pageExchanged,
  pageFlush,
  pageForget,
  pageGet,
  pageLook,
  pagePut,
  pageReplace,
  pageReadAt,
  pageSendAway,
  pageWriteAt,
  rangeDone,
  rangeFind,
  rangeGet,
  rangePut,
} from './tmem/page-calls';
export {
  backEverything,
  clientFrame,
  clientStatistics,
  decodeStored,
  drainSteps,
  emptyPool,
  forgetClient,
  giveBack,
  grant,
  isGranted,
  openClient,
  openPool,
  orphanNext,
  pagesOf,
  pagesOfFrame,
  poolFrame,
  poolStatistics,
  poolWalk,
  poolWalkRecords,
  recoverNow,
  remotePagesOf,
  removePool,
  setClientWord,
  setCodec,
  shrinkBy,
  trimClient,
  zvHeapCheck,
} from './tmem/pool-calls';
export { staleName } from './tmem/pool';

/** This thread's operation was unwound by an abort: what it left is for recovery. */
export function abandonOperation(): void {
  slotAbandon();
  nodesChanged();
}

// ---- addresses in this thread's slot ------------------------------------------------------------------------

export function inAddress(): usize {
  return slotAddress() + S_IN;
}

export function outAddress(): usize {
  return slotAddress() + S_OUT;
}

export function argumentsAddress(): usize {
  return slotAddress() + S_ARGUMENTS;
}

export function walkAddress(): usize {
  return slotAddress() + S_WALK;
}

export function stagingAddress(): usize {
  return slotAddress() + S_STAGING;
}
