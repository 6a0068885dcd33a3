/** The arena as TypeScript sees it: memory, wasm code and this thread's slot; for named stores also their file. */

export { ArenaAbort, asAbort } from './abort.ts';
export { Arena, type ArenaSizes, BUSY_RECOVERY_WAIT_MS, STORE_ID_BYTES } from './arena.ts';
export { ARENA_BYTES_MAX, ARENAS_MAX, CLIENTS_MAX, POOLS_MAX, STAGING_PAGES_MAX } from './bounds.ts';
export type { StoreThread } from './file-host.ts';
export { WASM_PAGE_BYTES } from './instance.ts';
export { type ArenaMemory, type ArenaModule, arenaModule } from './module.ts';
export {
  attachNamed,
  copyNamed,
  createNamed,
  moduleLayout,
  type NamedArenas,
  readHeader,
} from './named.ts';
export {
  CARETAKER_BYTE,
  CLIENT_BYTES,
  checkDirectory,
  checkedStoreName,
  type FileIdentity,
  parseStoreFileName,
  SHRINKER_BYTE,
  SLOTS_MAX,
  StoreFile,
  storePath,
} from './store-file.ts';
