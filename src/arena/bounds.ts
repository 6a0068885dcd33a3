/** Bounds of what an arena and a store can be, for settings and for headers that were found. */

/** One WebAssembly memory holds 65,536 pages of 64 KiB. */
export const ARENA_BYTES_MAX = 4 * 2 ** 30;

/** Arenas of one store; placement hashes over them. 64 * 4 GiB is more than a Node machine has. */
export const ARENAS_MAX = 64;

/** A pool id has 16 bits. */
export const POOLS_MAX = 65_535;

/** A pool has a bit for each client that may share it, and id 0 is nobody. */
export const CLIENTS_MAX = 1023;

/** Staging pages of one thread: 4 MiB. */
export const STAGING_PAGES_MAX = 1024;
