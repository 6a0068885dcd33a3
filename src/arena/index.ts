/** The arena as TypeScript sees it: memory, wasm code and this thread's slot; for named stores also their file. */

export { ArenaAbort } from './abort.ts';
export { Arena, type ArenaSizes } from './arena.ts';
export type { StoreThread } from './file-host.ts';
export { type ArenaMemory, type ArenaModule, arenaModule } from './module.ts';
export {
  attachNamed,
  createNamed,
  moduleLayout,
  type NamedArenas,
  readHeader,
} from './named.ts';
export {
  checkDirectory,
  checkedStoreName,
  type FileIdentity,
  parseStoreFileName,
  SHRINKER_BYTE,
  StoreFile,
  storePath,
} from './store-file.ts';
