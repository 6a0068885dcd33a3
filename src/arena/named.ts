/**
 * Named arenas: makes, finds, checks and maps the file of a store, and claims this thread's slot in it. The rule is all
 * or nothing: whatever fails, nothing of the attempt is left.
 *
 * Nothing of a file is believed before it was checked: who owns it, its exact size, the magic and version, and that
 * each arena's header says what formatting it would have written. Then it is mapped, a slot is claimed by its file
 * lock, and a number goes from file to memory and back, to see that they are one.
 */

import { randomBytes } from 'node:crypto';
import { TmemError } from '../errors.ts';
import { Arena, type ArenaSizes, formatArena, STORE_ID_BYTES } from './arena.ts';
import { ARENA_BYTES_MAX, ARENAS_MAX, CLIENTS_MAX, POOLS_MAX, STAGING_PAGES_MAX } from './bounds.ts';
import type { ArenaLayout } from './exports.ts';
import { FileHost, SLOT_STATE_MASK, StoreThread, threadIdentity } from './file-host.ts';
import { findHoles } from './holes.ts';
import { CopyHost, FRAME_BYTES, PrivateHost } from './host.ts';
import { type ArenaInstance, instantiate, newMemory, WASM_PAGE_BYTES } from './instance.ts';
import type { ArenaMemory, ArenaModule } from './module.ts';
import { SLOTS_MAX, StoreFile } from './store-file.ts';

/** Looks at all slots: somebody may hold a lock for a moment to see whether its owner is alive. */
const CLAIM_ROUNDS = 40;
const CLAIM_PAUSE_MS = 1;
const NONCE_BYTES = 8;

/** A store's arenas as this thread has them. */
export interface NamedArenas {
  readonly thread: StoreThread;
  readonly arenas: readonly Arena[];
  /** The last owner of this thread's slot ended in the middle of something: recover before anything else. */
  readonly isUnclean: boolean;
  /** The text that was given at creation. */
  readonly settings: string;
}

const withoutStore = new WeakMap<ArenaModule, ArenaInstance>();

/** A module's code on a memory that is no arena: for what it knows without one. */
function instanceWithoutStore(module: ArenaModule): ArenaInstance {
  let instance = withoutStore.get(module);
  if (instance === undefined) {
    const memory = newMemory(WASM_PAGE_BYTES);
    instance = instantiate(module, memory, new PrivateHost(memory));
    withoutStore.set(module, instance);
  }
  return instance;
}

/** A module's layout, for reading a file before it is mapped. */
export function moduleLayout(module: ArenaModule): ArenaLayout {
  return instanceWithoutStore(module).layout;
}

/**
 * Makes a store of `count` arenas in a new file that has no name yet (`thread.file.publish()` gives it one). Undefined
 * when an arena's tables would leave no room for pages.
 *
 * @throws TmemError TMEM_ERR_STORE_DIRECTORY, TMEM_ERR_NO_SPACE, TMEM_ERR_NO_MEMORY, TMEM_ERR_NO_KOFFI,
 *   TMEM_ERR_PLATFORM
 */
export function createNamed(
  module: ArenaModule,
  where: { readonly directory: string; readonly path: string },
  sizes: ArenaSizes,
  count: number,
  settings: string,
): NamedArenas | undefined {
  const firstFrame = firstFrameOf(module, sizes);
  const file = StoreFile.create(where.directory, where.path);
  const thread = new StoreThread(file);
  try {
    if (firstFrame === 0) {
      file.close();
      return undefined;
    }
    file.setBytes(sizes.bytes * count);
    const about = {
      count,
      storeId: randomBytes(STORE_ID_BYTES),
      createdMs: Date.now(),
      settings: Buffer.from(settings),
    };
    for (let number = 0; number < count; number++) {
      const offset = number * sizes.bytes;
      const memory = newMemory(sizes.bytes);
      reserveTables(file, offset, sizes.bytes, firstFrame);
      file.mapUnder(memory, offset);
      const instance = instantiate(module, memory, new FileHost(thread, memory, offset));
      thread.instances.push(instance);
      formatArena(instance, sizes);
      describeStore(instance, number, about);
    }
    claimSlot(thread);
    const arenas = thread.instances.map((instance) => new Arena(instance));
    return { thread, arenas, isUnclean: false, settings };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** What the header of an arena says of the store it belongs to. */
interface AboutStore {
  readonly count: number;
  readonly storeId: Uint8Array;
  readonly createdMs: number;
  readonly settings: Uint8Array;
}

function describeStore({ memory, layout }: ArenaInstance, number: number, about: AboutStore): void {
  const { count, storeId, createdMs, settings } = about;
  if (settings.length > layout.SETTINGS_BYTES_MAX) throw new RangeError('settings do not fit the header');
  const words = new Uint32Array(memory.buffer);
  words[layout.H_ARENA >>> 2] = number;
  words[layout.H_ARENAS >>> 2] = count;
  words[layout.H_SETTINGS_BYTES >>> 2] = settings.length;
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(storeId, layout.H_STORE_ID);
  bytes.set(settings, layout.H_SETTINGS);
  new Float64Array(memory.buffer, layout.H_CREATED_MS, 1)[0] = createdMs;
}

function firstFrameOf(module: ArenaModule, sizes: ArenaSizes): number {
  const { wasm } = instanceWithoutStore(module);
  const { threads, pools, clients, stagingPages } = sizes;
  return wasm.formatFirstFrame(sizes.bytes / FRAME_BYTES, threads, pools, clients, stagingPages) >>> 0;
}

/** Everything but the frames that are handed out has its memory from the start. */
function reserveTables(file: StoreFile, offset: number, bytes: number, firstFrame: number): void {
  const tableBytes = firstFrame * FRAME_BYTES;
  if (file.reserve(offset, tableBytes) && file.reserve(offset + bytes - FRAME_BYTES, FRAME_BYTES)) return;
  throw new TmemError(
    'TMEM_ERR_NO_SPACE',
    `${file.path}: the file system has no room for the ${Math.ceil(tableBytes / 1024)} KiB of the store's tables; ` +
      'lower memory or threads, remove other stores, or enlarge it (Docker: --shm-size)',
  );
}

/**
 * Attaches to the store in a file. `memories`: where another thread of this process mapped it; else it is mapped anew.
 * Undefined when the file lost its name meanwhile: look again. Arenas that need a recovery say so (needsRecovery).
 *
 * @throws TmemError TMEM_ERR_LAYOUT, TMEM_ERR_DAMAGED, TMEM_ERR_TOO_MANY_THREADS, TMEM_ERR_NO_MEMORY,
 *   TMEM_ERR_PLATFORM
 */
export function attachNamed(
  module: ArenaModule,
  file: StoreFile,
  memories?: readonly ArenaMemory[],
): NamedArenas | undefined {
  const thread = new StoreThread(file);
  const layout = moduleLayout(module);
  const { count, arenaBytes, settings } = readHeader(layout, file);
  const holes = findHoles(layout, file, { count, arenaBytes });
  if (holes !== undefined) {
    throw new TmemError(
      'TMEM_ERR_DAMAGED',
      `${file.path}: ${holes.backed} frames should have memory, the file has it for ${holes.held}: was it copied? ` +
        'Remove the file (tmem rm); tmem save and tmem restore carry a store over',
    );
  }
  for (let number = 0; number < count; number++) {
    const offset = number * arenaBytes;
    const memory = memories?.[number] ?? newMemory(arenaBytes);
    if (memories === undefined) file.mapUnder(memory, offset);
    const instance = instantiate(module, memory, new FileHost(thread, memory, offset));
    checkHeader(file, instance, number, count);
    thread.instances.push(instance);
  }
  const unclean = claimSlot(thread);
  try {
    const arenas = thread.instances.map((instance) => new Arena(instance));
    for (const [number, arena] of arenas.entries()) checkMapping(thread, arena, number * arenaBytes);
    thread.buryTheDead();
    if (!file.isLinked) {
      for (const arena of arenas) arena.wasm.slotRelease();
      file.close();
      return undefined;
    }
    for (const arena of arenas) arena.needsRecovery = unclean || arena.wasm.recoveryIsNeeded() !== 0;
    return { thread, arenas, isUnclean: unclean, settings };
  } catch (error) {
    for (const { wasm } of thread.instances) wasm.slotRelease();
    throw error;
  }
}

/**
 * The arenas of a store as they are now, in memory of this thread alone: what is done to them changes nothing in the
 * file (pages are copied when they are written). Nobody may change the file meanwhile; this thread gets slot `slot`.
 *
 * @throws TmemError as attachNamed
 */
export function copyNamed(module: ArenaModule, file: StoreFile, slot: number): Arena[] {
  const { count, arenaBytes } = readHeader(moduleLayout(module), file);
  return Array.from({ length: count }, (_, number) => {
    const memory = newMemory(arenaBytes);
    file.mapUnder(memory, number * arenaBytes, true);
    const instance = instantiate(module, memory, new CopyHost());
    checkHeader(file, instance, number, count);
    leaveAlone(instance, slot);
    instance.wasm.slotTake(slot, ...threadIdentity());
    return new Arena(instance);
  });
}

/** In a copy: the gate is open, the own slot nobody's, and who stood before the gate stands idle. */
function leaveAlone({ memory, layout }: ArenaInstance, ownSlot: number): void {
  const words = new Uint32Array(memory.buffer);
  words[layout.H_GATE >>> 2] = 0;
  const slots = words[layout.H_SLOTS >>> 2] ?? 0;
  const slotBytes = words[layout.H_SLOT_BYTES >>> 2] ?? 0;
  for (let slot = 0; slot < (words[layout.H_THREADS >>> 2] ?? 0); slot++) {
    const at = (slots + slot * slotBytes + layout.S_STATE) >>> 2;
    const state = (words[at] ?? 0) & SLOT_STATE_MASK;
    // Written in any case: so this page is the copy's own from here on.
    if (slot === ownSlot) words[at] = layout.SLOT_FREE;
    else words[at] = state === layout.SLOT_BUSY ? layout.SLOT_IDLE : state;
  }
}

/** What a file says of itself, before anything of it is mapped. */
export interface StoreHeader {
  readonly count: number;
  readonly arenaBytes: number;
  readonly settings: string;
  readonly createdMs: number;
  readonly threads: number;
}

/**
 * @throws TmemError TMEM_ERR_LAYOUT, TMEM_ERR_DAMAGED
 */
export function readHeader(layout: ArenaLayout, file: StoreFile): StoreHeader {
  const header = file.read(0, 2 * FRAME_BYTES);
  const damaged = (what: string) =>
    new TmemError('TMEM_ERR_DAMAGED', `${file.path}: ${what}; remove the file (tmem rm) to start anew`);
  if (header.length < 2 * FRAME_BYTES) throw damaged(`it has only ${header.length} bytes`);
  const word = (address: number) => header.readUInt32LE(address);
  if (word(layout.H_MAGIC) !== layout.LAYOUT_MAGIC) throw damaged('it does not begin as a store does');
  const version = word(layout.H_VERSION);
  if (version !== layout.LAYOUT_VERSION) {
    throw new TmemError(
      'TMEM_ERR_LAYOUT',
      `${file.path}: its layout has version ${version}, this package uses ${layout.LAYOUT_VERSION}`,
    );
  }
  const count = word(layout.H_ARENAS);
  const arenaBytes = word(layout.H_FRAMES) * FRAME_BYTES;
  const { bytes } = file;
  const isPossible = arenaBytes <= ARENA_BYTES_MAX && arenaBytes % WASM_PAGE_BYTES === 0;
  if (count < 1 || count > ARENAS_MAX || !isPossible || count * arenaBytes !== bytes) {
    throw damaged(`it has ${bytes} bytes, its header says ${count} arenas of ${arenaBytes}`);
  }
  const length = word(layout.H_SETTINGS_BYTES);
  if (length > layout.SETTINGS_BYTES_MAX) throw damaged('the length of its settings cannot be');
  const settings = header.toString('utf8', layout.H_SETTINGS, layout.H_SETTINGS + length);
  const createdMs = header.readDoubleLE(layout.H_CREATED_MS);
  return { count, arenaBytes, settings, createdMs, threads: word(layout.H_THREADS) };
}

function checkHeader(file: StoreFile, instance: ArenaInstance, number: number, count: number): void {
  const { wasm, layout, memory } = instance;
  const words = new Uint32Array(memory.buffer);
  const word = (address: number) => words[address >>> 2] ?? 0;
  const threads = word(layout.H_THREADS);
  const pools = word(layout.H_POOLS_MAX);
  const clients = word(layout.H_CLIENTS_MAX);
  const stagingPages = word(layout.H_STAGING_PAGES);
  const frames = memory.buffer.byteLength / FRAME_BYTES;
  const isSound =
    [threads, pools, clients, stagingPages].every((size) => size >= 1) &&
    threads <= SLOTS_MAX &&
    pools <= POOLS_MAX &&
    clients <= CLIENTS_MAX + 1 && // the entry of nobody
    stagingPages <= STAGING_PAGES_MAX &&
    word(layout.H_ARENA) === number &&
    word(layout.H_ARENAS) === count &&
    wasm.headerIsSound(frames, threads, pools, clients, stagingPages) !== 0;
  if (isSound) return;
  throw new TmemError(
    'TMEM_ERR_DAMAGED',
    `${file.path}: the header of arena ${number} contradicts itself; remove the file (tmem rm) to start anew`,
  );
}

/** Takes the first slot whose lock is free, in all arenas; whether its last owner ended in the middle of something. */
function claimSlot(thread: StoreThread): boolean {
  const { file, instances } = thread;
  const [first] = instances as [ArenaInstance];
  const threads = new Uint32Array(first.memory.buffer)[first.layout.H_THREADS >>> 2] ?? 0;
  const identity = threadIdentity();
  const inUse = thread.slotsInUse();
  for (let round = 0; round < CLAIM_ROUNDS; round++) {
    // Those of the dead are left to the next recovery while there are others.
    const free = (slot: number) => round > 0 || !inUse.includes(slot);
    if (round > 0) pause(CLAIM_PAUSE_MS);
    for (let slot = 0; slot < threads; slot++) {
      if (!free(slot) || !file.lock(slot)) continue;
      thread.slot = slot;
      let unclean = false;
      for (const { wasm } of instances) if (wasm.slotTake(slot, ...identity) !== 0) unclean = true;
      return unclean;
    }
  }
  throw new TmemError(
    'TMEM_ERR_TOO_MANY_THREADS',
    `${file.path}: all ${threads} thread slots are taken; close the store where threads end, or create it with more ` +
      'threads',
  );
}

function pause(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs);
}

/** A number written to the file is read in memory, and the other way round. */
function checkMapping({ file, slot }: StoreThread, arena: Arena, offset: number): void {
  const { layout } = arena;
  const address = arena.word(layout.H_SLOTS) + slot * arena.word(layout.H_SLOT_BYTES) + layout.S_NONCE;
  const nonce = randomBytes(NONCE_BYTES);
  file.write(offset + address, nonce);
  const seen = Buffer.from(arena.bytes.slice(address, address + NONCE_BYTES));
  const answer = randomBytes(NONCE_BYTES);
  arena.bytes.set(answer, address);
  if (seen.equals(nonce) && file.read(offset + address, NONCE_BYTES).equals(answer)) return;
  throw new TmemError('TMEM_ERR_PLATFORM', `${file.path}: its memory is not what is in the file`);
}
