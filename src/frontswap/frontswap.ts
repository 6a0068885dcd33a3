/**
 * The frontswap shim: swap areas, and whichever store is registered for them.
 *
 * An area belongs to the backend it was made with: its pages are persistent and cannot move. An area made before a
 * backend is registered gets the first one. Swizzle bits and mode of an area are kept in the store beside its pages,
 * so that whoever opens it later looks for them in the right places:
 *
 *   metadata page   0: u32 swizzle bits   4: u32 writethrough (0, 1)       little-endian
 */

import { Oid, publish, TmemError } from '../zcache/index.ts';
import { FrontswapArea, type SharedArea } from './area.ts';
import type { FrontswapBackend } from './backend.ts';
import { SWIZZLE_BITS_DEFAULT, SWIZZLE_BITS_MAX, typesOf } from './swizzle.ts';

const METADATA_BYTES = 8;

/** Slots of one area: 16 TiB of pages, 1 GiB of bitmaps. With any swizzle bits the index then fits 32 bits. */
export const SLOTS_MAX = 2 ** 32;

export interface FrontswapOptions {
  /** Start switched off (nofrontswap). */
  enabled?: boolean;
  /** For areas that say nothing else: low bits of the offset that go into the oid, 4 by default. */
  swizzleBits?: number;
  /** For areas that say nothing else: a successful load frees the store's copy. */
  exclusiveLoads?: boolean;
}

export interface AreaOptions {
  /** Size of the area in slots of 4096 bytes, at most 2^32. */
  slots: number;
  /** Low bits of the offset that go into the oid, 0 to 16. An area found in the store keeps its own. */
  swizzleBits?: number;
  /** Every page also goes to the device. */
  writethrough?: boolean;
  /** Only for callers that then own the only copy. */
  exclusiveLoads?: boolean;
}

interface WaitingArea {
  readonly area: FrontswapArea;
  readonly swizzleBits: number | undefined;
}

export class Frontswap {
  readonly #switches: { enabled: boolean };
  readonly #swizzleBits: number;
  readonly #exclusiveLoads: boolean;
  readonly #areas = new Map<number, WaitingArea>();
  #backend: FrontswapBackend | undefined;

  /** @throws TmemError TMEM_ERR_SETTING */
  constructor(options: FrontswapOptions = {}) {
    this.#switches = { enabled: options.enabled ?? true };
    this.#swizzleBits = options.swizzleBits ?? SWIZZLE_BITS_DEFAULT;
    checkWhole('swizzleBits', this.#swizzleBits, 0, SWIZZLE_BITS_MAX);
    this.#exclusiveLoads = options.exclusiveLoads ?? false;
  }

  /**
   * Makes `backend` the store of all areas made from now on, and of those that have none.
   *
   * Replacing one is rarely meant: it is published as `tmem:backend:replaced` and emitted as a process warning
   * with code TMEM_WARN_BACKEND_REPLACED. Areas that have pages in the old one stay there.
   *
   * @returns the backend there was
   */
  register(backend: FrontswapBackend): FrontswapBackend | undefined {
    const previous = this.#backend;
    this.#backend = backend;
    for (const { area, swizzleBits } of this.#areas.values()) {
      if (!area.connected) this.#connect(area, swizzleBits, backend);
    }
    if (previous !== undefined) {
      publish('tmem:backend:replaced', () => ({ frontEnd: 'frontswap', previous }));
      process.emitWarning('frontswap: a backend was registered already and was replaced', {
        type: 'TmemWarning',
        code: 'TMEM_WARN_BACKEND_REPLACED',
      });
    }
    return previous;
  }

  /** The switch. Off: every store is refused and flushes its slot; what is in the store stays loadable. */
  get enabled(): boolean {
    return this.#switches.enabled;
  }

  set enabled(on: boolean) {
    this.#switches.enabled = on;
  }

  /**
   * Makes an area, or finds it again with all its pages if the store has it. `type` is a number that names it. In one
   * thread an area exists once, until it is invalidated; other threads get it by `share` and `attach`.
   *
   * @throws TmemError TMEM_ERR_SETTING naming the wrong option; TMEM_ERR_NAME_MISMATCH if the store has the area with
   *   other swizzle bits, another mode or more slots; TMEM_ERR_NO_MEMORY if the store refuses to keep its metadata
   */
  init(type: number, options: AreaOptions): FrontswapArea {
    const { slots, swizzleBits, writethrough = false, exclusiveLoads = this.#exclusiveLoads } = options;
    checkWhole('slots', slots, 1, SLOTS_MAX);
    if (swizzleBits !== undefined) checkWhole('swizzleBits', swizzleBits, 0, SWIZZLE_BITS_MAX);
    checkWhole('type', type, 0, typesOf(swizzleBits ?? this.#swizzleBits) - 1);
    if (this.#areas.get(type)?.area.map.alive) {
      throw new TmemError(
        'TMEM_ERR_SETTING',
        `frontswap: area ${type} exists; invalidate it first, or share() it`,
      );
    }
    const area = new FrontswapArea(this.#switches, { type, slots, writethrough, exclusiveLoads });
    if (this.#backend !== undefined) this.#connect(area, swizzleBits, this.#backend);
    area.open();
    this.#areas.set(type, { area, swizzleBits });
    return area;
  }

  /** The area that another thread of this process shares. The backend here must be of the same store. */
  attach(shared: SharedArea): FrontswapArea {
    if (this.#backend === undefined) {
      throw new TmemError('TMEM_ERR_SETTING', 'frontswap: register a backend before attaching an area');
    }
    const area = new FrontswapArea(this.#switches, shared, shared.map);
    area.connect(this.#backend.init(shared.type), shared.swizzleBits, false);
    return area;
  }

  #connect(area: FrontswapArea, swizzleBits: number | undefined, backend: FrontswapBackend): void {
    const bits = this.#settleMetadata(area, swizzleBits, backend);
    area.connect(backend.init(area.type), bits, true);
  }

  /** Swizzle bits of the area: those in the store, or, for a new area, those asked for, which are kept there. */
  #settleMetadata(area: FrontswapArea, swizzleBits: number | undefined, backend: FrontswapBackend): number {
    const metadata = backend.initMetadata();
    const oid = Oid.fromNumbers(area.type);
    const page = new Uint8Array(4096);
    const fields = new DataView(page.buffer);
    if (metadata.load(oid, 0, page) > 0) {
      const kept = { bits: fields.getUint32(0, true), writethrough: fields.getUint32(4, true) === 1 };
      const emptied = isEmpty(backend.init(area.type));
      if (!emptied && (kept.bits !== (swizzleBits ?? kept.bits) || kept.writethrough !== area.writethrough)) {
        throw new TmemError(
          'TMEM_ERR_NAME_MISMATCH',
          `frontswap: the store has area ${area.type} with swizzleBits ${kept.bits} and writethrough ` +
            `${kept.writethrough}; open it with these, or invalidate it first`,
        );
      }
      if (!emptied) return kept.bits;
    }
    const bits = swizzleBits ?? this.#swizzleBits;
    fields.setUint32(0, bits, true);
    fields.setUint32(4, area.writethrough ? 1 : 0, true);
    if (!metadata.store(oid, 0, page.subarray(0, METADATA_BYTES))) {
      throw new TmemError(
        'TMEM_ERR_NO_MEMORY',
        `frontswap: the store refused the metadata of area ${area.type}; thaw it, or give it more memory`,
      );
    }
    return bits;
  }
}

/** The shim of this thread, for those who bring none of their own. */
export const frontswap = new Frontswap();

function isEmpty(pool: { walk(): Iterable<unknown> }): boolean {
  for (const _ of pool.walk()) return false;
  return true;
}

function checkWhole(name: string, given: number, min: number, max: number): void {
  if (Number.isInteger(given) && given >= min && given <= max) return;
  throw new TmemError(
    'TMEM_ERR_SETTING',
    `frontswap: ${name}: got ${String(given)}, allowed is a whole number from ${min} to ${max}`,
  );
}
