// An area on a store whose pages can be sent away, for as long as a test runs.

import { onTestFinished } from 'vitest';
import {
  type AreaOptions,
  type BackingDevice,
  Frontswap,
  SwapDevice,
  ZcacheFrontswapBackend,
} from '../../src/frontswap/index.ts';
import { open } from '../../src/zcache/index.ts';
import { FarPages } from '../zcache/far-pages.ts';

/** Two regions. */
export const SLOTS = 70;
export const SLOT = 4096;

export interface Setting extends Partial<AreaOptions> {
  device?: BackingDevice | undefined;
  isFetched?: boolean;
  refuses?: boolean;
}

export function bench({ device, isFetched = true, refuses: _, ...area }: Setting = {}) {
  const store = open({ memory: '8 MiB', incompressible: 'store', debug: true });
  onTestFinished(() => store.close());
  const far = new FarPages();
  const backend = new ZcacheFrontswapBackend(store, store.client('swap'), isFetched ? far : undefined);
  const shim = new Frontswap();
  shim.register(backend);
  const swap = new SwapDevice(shim.init(1, { slots: SLOTS, ...area }), device);
  const pool = store.client('swap').pool('area-1', { kind: 'persistent' });
  return { store, far, swap, pool, backend, shim };
}

/** Bytes that compress, but are more than one repeated value: such pages can be sent away. */
export function pattern(fill: number, length = SLOT): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i % 16 === 0 ? fill : 255 - fill));
}

export async function read(swap: SwapDevice | BackingDevice, slot: number, within = 0, length = SLOT) {
  const out = new Uint8Array(length).fill(0xaa);
  await swap.read(slot * SLOT + within, out);
  return out;
}
