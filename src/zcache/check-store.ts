/**
 * Checks a named store without changing it: stops its threads for a moment, looks at the file as it is through memory
 * that is copied when it is written, and there rebuilds everything that is derived. At a quiet moment that must change
 * nothing: every figure and every free frame is the same before and after. Then each page is unpacked and compared with
 * its checksum; of pages that are with peers there is a record here and no more.
 *
 * The pause takes about as long as a recovery (some 300 ms for 1 GiB); pages are looked at after it, through ordinary
 * operations that count nothing. The copy takes as much memory as a recovery writes to, at most the store's size.
 */

import {
  type Arena,
  arenaModule,
  asAbort,
  attachNamed,
  checkedStoreName,
  copyNamed,
  moduleLayout,
  type NamedArenas,
  StoreFile,
  storePath,
} from '../arena/index.ts';
import { Arenas, TmemError } from '../tmem/index.ts';
import { CODE } from '../tmem/outcome.ts';
import { walkArena } from '../tmem/walk.ts';
import { checkedDirectory, DIRECTORY_DEFAULT } from './open.ts';
import { clientsOf, poolsOf, rawStore } from './raw.ts';
import { existingSettings, type StoreSettings } from './settings.ts';
import { storeStatistics } from './statistics.ts';
import { noStore } from './stores.ts';

const PAGE_BYTES = 4096;
/** Not in the arena: so that pages are unpacked in the slot, where they are compared, and go no further. */
const NOWHERE = new Uint8Array(0);
/** Most findings told: the first ones say what is wrong. */
const FINDINGS_MAX = 100;
/** Of freeing; an arena has fewer pages and nodes of the index. */
const DRAIN_STEPS_MAX = 0x7fff_ffff;
/** GET_PEEK of the arena. */
const PEEK = 3;
/** Figures that a recovery changes by happening, or that are counted and not held. */
const NOT_HELD = /threads_recovered|threads_attached|lock_waits|lock_timeouts|locked_slots_max|_max$/;

/** What a check found. */
export interface CheckReport {
  /** Nothing contradicts itself. What dead threads left to be recovered is no damage, and is among the findings. */
  readonly sound: boolean;
  readonly findings: readonly string[];
  /** Frames of 4096 bytes of the store. */
  readonly frames: number;
  /** Pages whose checksums were compared. */
  readonly pages: number;
  /** Pages that are with peers: their records were looked at. */
  readonly remotePages: number;
}

/**
 * @throws TmemError TMEM_ERR_NO_STORE, TMEM_ERR_STORE_FILE, TMEM_ERR_LAYOUT, TMEM_ERR_TOO_MANY_THREADS, TMEM_ERR_BUSY,
 *   TMEM_ERR_STORE_NAME, TMEM_ERR_STORE_DIRECTORY, TMEM_ERR_NO_KOFFI, TMEM_ERR_PLATFORM
 */
export function checkStore(
  name: string,
  { directory = DIRECTORY_DEFAULT }: { readonly directory?: string | undefined } = {},
): CheckReport {
  const module = arenaModule(false);
  const place = checkedDirectory(directory);
  const path = storePath(place, checkedStoreName(name), moduleLayout(module).LAYOUT_VERSION);
  const file = StoreFile.open(path);
  if (file === undefined) throw noStore(name, place);
  const check = new Check(file);
  try {
    const named = attachNamed(module, file);
    if (named === undefined) throw noStore(name, place);
    const settings = existingSettings(named.settings, {}, path);
    const arenas = new Arenas(named.arenas, named.thread);
    try {
      check.structure(named, settings);
      // An operation in an unclean slot would hide what its last owner left.
      if (named.isUnclean) arenas.recover();
      if (check.isSound) check.pages(arenas);
    } finally {
      arenas.close();
    }
  } catch (error) {
    if (!TmemError.is(error) || error.code !== 'TMEM_ERR_DAMAGED') throw error;
    check.broken(error.message);
  } finally {
    file.close();
  }
  return check.report();
}

class Check {
  readonly #file: StoreFile;
  readonly #findings: string[] = [];
  #isSound = true;
  #frames = 0;
  #pages = 0;
  #remotePages = 0;

  constructor(file: StoreFile) {
    this.#file = file;
  }

  get isSound(): boolean {
    return this.#isSound;
  }

  report(): CheckReport {
    const findings = this.#findings.slice(0, FINDINGS_MAX);
    return {
      sound: this.#isSound,
      findings,
      frames: this.#frames,
      pages: this.#pages,
      remotePages: this.#remotePages,
    };
  }

  broken(finding: string): void {
    this.#isSound = false;
    this.#findings.push(finding);
  }

  /** Everything but the pages' bytes, while all threads of the store stand still. */
  structure(named: NamedArenas, settings: StoreSettings): void {
    const paused: Arena[] = [];
    try {
      for (const arena of named.arenas) {
        arena.wasm.pauseBegin(settings.lockTimeoutMs);
        paused.push(arena);
      }
      const copies = copyNamed(arenaModule(false), this.#file, named.thread.slot);
      this.#rebuild(copies, named.isUnclean, settings);
    } catch (error) {
      if (TmemError.is(error)) throw error;
      const { reason, message } = asAbort(error);
      if (reason !== 'damaged')
        throw new TmemError('TMEM_ERR_BUSY', `check: ${message}; try again`, { cause: error });
      this.broken(message);
    } finally {
      for (const arena of paused) arena.wasm.pauseEnd();
    }
  }

  #rebuild(arenas: readonly Arena[], isUnclean: boolean, settings: StoreSettings): void {
    this.#frames = arenas.reduce((sum, arena) => sum + arena.word(arena.layout.H_FRAMES), 0);
    const waiting = isUnclean || arenas.some((arena) => arena.wasm.recoveryIsNeeded() !== 0);
    if (waiting) {
      this.#findings.push(
        'threads ended in the middle of an operation; who attaches next recovers (checked as it will be then)',
      );
      for (const arena of arenas) arena.wasm.recoverNow(1, 0);
    }
    // What was destroyed or flushed and waits to be freed is no contradiction.
    for (const arena of arenas) arena.wasm.drainSteps(DRAIN_STEPS_MAX);
    this.#heaps(arenas);
    const before = figuresOf(arenas, settings);
    const freeBefore = arenas.map(freeBits);
    for (const arena of arenas) arena.wasm.recoverNow(1, 0);
    const after = figuresOf(arenas, settings);
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      if (before.get(name) === after.get(name)) continue;
      this.broken(`${name} says ${before.get(name)}, what the index leads to is ${after.get(name)}`);
    }
    for (const [at, arena] of arenas.entries()) {
      if (!freeBefore[at]?.equals(freeBits(arena)))
        this.broken(`arena ${at}: frames are called free that are not, or the other way round`);
    }
  }

  #heaps(arenas: readonly Arena[]): void {
    for (const [at, arena] of arenas.entries()) {
      for (const { id, name } of clientsOf(arena)) {
        for (const [heap, kind] of ['ephemeral', 'persistent'].entries()) {
          const rule = arena.wasm.zvHeapCheck(id, heap);
          if (rule !== 0) this.broken(`arena ${at}: ${kind} zv pages of client '${name}' break rule ${rule}`);
        }
      }
    }
  }

  /** Unpacks every page. What others remove meanwhile is a miss, and no finding. */
  pages(arenas: Arenas): void {
    for (const arena of arenas.all) {
      for (const { id, name } of poolsOf(arena)) {
        for (const { oid, index } of walkArena(arenas, arena, id)) {
          const { w0, w1, w2, w3, w4, w5 } = oid;
          const out = arena.outFor(NOWHERE);
          const length = arenas.run(arena, () =>
            arena.wasm.pageGet(id, w0, w1, w2, w3, w4, w5, index, out, PAGE_BYTES, PEEK),
          );
          if (length === CODE.remote) {
            this.#remotePages++;
            continue;
          }
          this.#pages++;
          if (length < 0) this.broken(`pool '${name}': the page at ${oid.toString()}, ${index} is damaged`);
        }
      }
    }
  }
}

/** Every figure of what is held, by its path in the statistics. */
function figuresOf(arenas: readonly Arena[], settings: StoreSettings): Map<string, number> {
  const figures = new Map<string, number>();
  const add = (path: string, value: unknown): void => {
    if (typeof value === 'number' && !NOT_HELD.test(path)) figures.set(path, value);
    else if (Array.isArray(value))
      for (const [i, item] of value.entries()) add(`${path}/${nameOf(item, i)}`, item);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) add(path === '' ? key : `${path}/${key}`, item);
    }
  };
  add('', storeStatistics(rawStore(new Arenas(arenas), settings)));
  return figures;
}

/** Clients and pools go by their names, everything else by its place. */
function nameOf(item: unknown, at: number): string {
  const name = (item as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? name : String(at);
}

/** The bitmap of free frames, a bit each. */
function freeBits(arena: Arena): Buffer {
  const from = arena.word(arena.layout.H_FREE_BITS);
  const bytes = Math.ceil(arena.word(arena.layout.H_FRAMES) / 8);
  return Buffer.from(arena.bytes.slice(from, from + bytes));
}
