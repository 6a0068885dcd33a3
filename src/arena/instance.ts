/**
 * The wasm code instantiated on one arena's memory: once for each thread and arena.
 */

import { TmemError } from '../errors.ts';
import { ArenaAbort, abort } from './abort.ts';
import { type ArenaFunctions, type ArenaLayout, layoutOf } from './exports.ts';
import type { ArenaHost } from './host.ts';
import type { ArenaMemory, ArenaModule } from './module.ts';

export const WASM_PAGE_BYTES = 65_536;

export interface ArenaInstance {
  readonly memory: ArenaMemory;
  readonly wasm: ArenaFunctions;
  readonly layout: ArenaLayout;
}

/**
 * A memory of whole wasm pages that never grows.
 *
 * @throws TmemError TMEM_ERR_NO_MEMORY
 */
export function newMemory(bytes: number): ArenaMemory {
  const pages = bytes / WASM_PAGE_BYTES;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new TmemError(
      'TMEM_ERR_NO_MEMORY',
      `the system gives no address space for an arena of ${bytes} bytes; close stores, or raise the limit (ulimit -v)`,
      { cause },
    );
  }
}

/** What the module imports beside its memory. */
export function hostImports(host: ArenaHost) {
  return {
    tmemAbort: abort,
    tmemWait: (address: number, expected: number, timeoutMs: number) =>
      host.wait(address >>> 0, expected, timeoutMs),
    tmemWake: (address: number, threads: number) => host.wake(address >>> 0, threads),
    tmemIsDead: (slot: number) => host.isDead(slot),
    tmemBack: (first: number, frames: number) => host.back(first, frames),
    tmemUnback: (first: number, frames: number) => host.unback(first, frames),
  };
}

export function instantiate(module: ArenaModule, memory: ArenaMemory, host: ArenaHost): ArenaInstance {
  const boundAddress = { value: 0 };
  const env = {
    memory: memory as WebAssembly.Memory,
    ...hostImports(host),
    // Debug build: accesses are compared with the word at this address, and those below 1024 trap.
    emscripten_get_sbrk_ptr: () => boundAddress.value,
    segfault: () => {
      throw new ArenaAbort('damaged', 'an access outside the arena, or to address 0');
    },
    // Unaligned accesses are meant: pages and compressed bytes lie anywhere.
    alignfault: () => {},
  };
  const { exports } = new WebAssembly.Instance(module as WebAssembly.Module, { env });
  const layout = layoutOf(exports);
  boundAddress.value = layout.H_ADDRESS_MAX;
  Atomics.store(new Uint32Array(memory.buffer), layout.H_ADDRESS_MAX >>> 2, 0xffff_ffff);
  return { memory, wasm: exports as unknown as ArenaFunctions, layout };
}
