// zv heaps over a small arena of their own, with the real frames and locks: for the tests of the allocator.

import asc from 'assemblyscript/asc';
import { PrivateHost } from '../../src/arena/host.ts';
import { hostImports } from '../../src/arena/instance.ts';

const SOURCES = [
  ...['pam/zv.ts', 'pam/zv-rebuild.ts', 'pam/zv-check.ts', 'pam/zv-heap.ts', 'pam/zv-block.ts'],
  ...['memory/frame.ts', 'memory/lock.ts', 'memory/layout.ts'],
].map((name) => `arena/${name}`);
const ROOT = new URL('../../', import.meta.url);
const FRAME_BYTES = 4096;

/** Frames of the fixed structures, by hand: behind the locks, below the frames handed out. */
const AT = { clients: 43, client: [44, 45], heap: [46, 47, 48], scratch: 49, table: 50 };
/** The heaps: two of client 0 (ephemeral and persistent), which share a lock, and one of client 1. */
const HEAPS = [
  { client: 0, kind: 8 },
  { client: 0, kind: 9 },
  { client: 1, kind: 9 },
];
export const HEAP_COUNT = HEAPS.length;
/** What an instrumented module calls with each value read or written; they give it back unchanged. */
const VALUE_HOOKS = ['load', 'store'].flatMap((access) =>
  ['i32', 'i64', 'f32', 'f64'].map((type) => `${access}_val_${type}`),
);

/** Kind and client in a table entry. */
const OWNER_BITS = 0xffff000f | 0;

type Counter = 'FRAMES' | 'BLOCKS' | 'FREE_BLOCKS';
type Sum = 'USED_BYTES' | 'FREE_BYTES' | 'STORED_BYTES';
type Part = 'SUMMARY' | 'BITMAP' | 'HISTOGRAM' | 'BINS';
type Call = (...args: number[]) => number;
type Exports = Record<string, Call> & Record<string, { value: number }>;

/** Compiles the allocator; `instrumented` calls env.store_ptr before every plain or atomic store. */
export async function compileZv(instrumented = false): Promise<WebAssembly.Module> {
  const outputs = new Map<string, Uint8Array>();
  const flags = [
    ['--runtime', 'stub', '--importMemory', '--sharedMemory', '--enable', 'threads,simd,bulk-memory'],
    ['--initialMemory', '1', '--maximumMemory', '65536', '-O3', '--use', 'DEBUG=1'],
    instrumented ? ['--runPasses', 'instrument-memory'] : [],
    ['--baseDir', decodeURIComponent(ROOT.pathname), '--outFile', 'zv.wasm'],
  ].flat();
  const { error, stderr } = await asc.main([...SOURCES, ...flags], {
    writeFile: (name, content) => {
      if (typeof content !== 'string') outputs.set(name, content);
    },
  });
  const binary = outputs.get('zv.wasm');
  if (error || !binary) throw new Error(`asc failed: ${error?.message}\n${stderr}`);
  return new WebAssembly.Module(binary.slice());
}

export class Killed extends Error {}

export class ZvArena {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly frames: number;
  /** Instrumented modules only: the store before which the thread dies; 0 = never. */
  killAtStore = 0;
  readonly #bits: number;
  readonly #backed: number;
  readonly #first: number;
  readonly #call: Exports;

  /** A new arena; or, given the memory of one, the same in another thread. */
  constructor(module: WebAssembly.Module, frames: number, memory?: WebAssembly.Memory, thread = 0) {
    this.frames = frames;
    this.#bits = AT.table + Math.ceil((frames * 8) / FRAME_BYTES);
    const bitFrames = Math.ceil(frames / 8 / FRAME_BYTES);
    this.#backed = this.#bits + 1 + bitFrames * 2; // behind the bitmap and its summaries
    this.#first = this.#backed + bitFrames;
    const initial = Math.ceil((frames * FRAME_BYTES) / 65536);
    this.memory = memory ?? new WebAssembly.Memory({ initial, maximum: 65536, shared: true });
    this.bytes = new Uint8Array(this.memory.buffer);
    this.words = new Uint32Array(this.memory.buffer);
    const value = (_id: number, content: unknown) => content;
    const env = {
      memory: this.memory,
      ...hostImports(new PrivateHost(this.memory)),
      tmemAbort: (reason: number, detail: number) => {
        throw new Error(`abort ${reason}, ${detail}`);
      },
      load_ptr: (_id: number, _bytes: number, _offset: number, address: number) => address,
      store_ptr: (_id: number, _bytes: number, _offset: number, address: number) => {
        if (this.killAtStore > 0 && --this.killAtStore === 0) throw new Killed();
        return address;
      },
      memory_grow_pre: value,
      memory_grow_post: value,
      ...Object.fromEntries(VALUE_HOOKS.map((name) => [name, value])),
    };
    const instance = new WebAssembly.Instance(module, { env });
    this.#call = instance.exports as unknown as Exports;
    this.#call.lockIdentity!(thread, 1);
    if (!memory) this.#layOut();
  }

  #layOut(): void {
    const header = (name: string, content: number) => this.#setWord(this.#call[name]!.value, content);
    header('H_FRAMES', this.frames);
    header('H_FIRST_FRAME', this.#first);
    header('H_LAST_FRAME', this.frames - 1);
    header('H_FRAME_TABLE', AT.table * FRAME_BYTES);
    header('H_FREE_BITS', this.#bits * FRAME_BYTES);
    header('H_BACKED_BITS', this.#backed * FRAME_BYTES);
    this.bytes.fill(0xff, this.#backed * FRAME_BYTES, this.#first * FRAME_BYTES);
    // All threads are of one slot here, alive and in its first generation.
    header('H_SLOTS', AT.clients * FRAME_BYTES + FRAME_BYTES / 2);
    this.#setWord(AT.clients * FRAME_BYTES + FRAME_BYTES / 2 + this.#call.S_GENERATION!.value, 1);
    header('H_CLIENT_TABLE', AT.clients * FRAME_BYTES);
    header('H_CLIENTS_MAX', AT.client.length);
    header('H_LOCK_TIMEOUT_MS', 10_000);
    const fixed = this.#call.KIND_FIXED!.value;
    for (let frame = 0; frame < this.#first; frame++)
      this.#setWord(AT.table * FRAME_BYTES + frame * 8, fixed);
    this.#setWord(AT.table * FRAME_BYTES + (this.frames - 1) * 8, fixed);
    AT.client.forEach((frame, client) => {
      this.#setWord(AT.clients * FRAME_BYTES + client * 4, frame);
    });
    this.#call.framesRebuild!();
    HEAPS.forEach(({ client, kind }, i) => {
      this.#call.zvFormat!(AT.heap[i]! * FRAME_BYTES, client, kind);
    });
  }

  #setWord(address: number, content: number): void {
    this.words[address >>> 2] = content;
  }

  /** Descriptor address, 0 = refused. */
  alloc(heap: number, stored: number): number {
    return this.#call.zvAlloc!(this.#heap(heap), stored) >>> 0;
  }

  free(heap: number, block: number): void {
    this.#call.zvFree!(this.#heap(heap), block);
  }

  fillIn(block: number, codec: number, length: number, sum: number, index: number): void {
    this.#call.zvDescribe!(block, codec, length, sum, index);
  }

  data(block: number, stored: number): Uint8Array {
    return this.bytes.subarray(block + 16, block + 16 + stored);
  }

  blockBytes(block: number): number {
    return this.#call.zvBlockBytes!(block);
  }

  /** The pages that reclaim of a frame would see. */
  pagesIn(heap: number, frame: number): { block: number; descriptor: Uint8Array }[] {
    const out = AT.scratch * FRAME_BYTES;
    const pages = [];
    let block = 0;
    for (;;) {
      block = this.#call.zvNextPage!(this.#heap(heap), frame, block, out) >>> 0;
      if (block === 0) return pages;
      pages.push({ block, descriptor: this.bytes.slice(out, out + 16) });
    }
  }

  /** Every heap's first broken rule; 0 = sound. */
  check(): number[] {
    const scratch = AT.scratch * FRAME_BYTES;
    return HEAPS.map((_, heap) => this.#call.zvCheck!(this.#heap(heap), this.#first, this.frames, scratch));
  }

  /** What recovery does after a thread died: breaks the locks, rebuilds each heap from the marks, then the frames. */
  recover(reachable: Iterable<number>): number[] {
    const locks = this.#call.LOCKS!.value;
    this.bytes.fill(0, locks, this.#call.LOCKS_END!.value);
    this.#call.lockIdentity!(0, 2);
    for (const block of reachable) this.#call.zvMark!(block);
    const codes = HEAPS.map((_, heap) => this.#call.zvRebuild!(this.#heap(heap), this.#first, this.frames));
    this.#call.framesRebuild!();
    return codes;
  }

  /** Makes the n-th frame from now on fail. */
  failFrame(nth: number): void {
    this.#setWord(this.#call.H_FAIL_COUNTDOWN!.value, nth);
  }

  get freeFrames(): number {
    const { H_FREE_FRAMES, H_UNBACKED } = this.#call;
    return this.words[H_FREE_FRAMES!.value >>> 2]! + this.words[H_UNBACKED!.value >>> 2]!;
  }

  /** Frames that can be handed out at all. */
  get usableFrames(): number {
    return this.frames - 1 - this.#first;
  }

  counter(heap: number, name: Counter): number {
    return this.words[this.counterAt(heap, name) >>> 2]!;
  }

  /** A 64-bit count; exact below 2^53. */
  sum(heap: number, name: Sum): number {
    const at = this.counterAt(heap, name) >>> 2;
    return this.words[at]! + this.words[at + 1]! * 2 ** 32;
  }

  counterAt(heap: number, name: Counter | Sum | Part): number {
    return this.#heap(heap) + this.#call[`Z_${name}`]!.value;
  }

  entryAt(frame: number): number {
    return AT.table * FRAME_BYTES + frame * 8;
  }

  /** Overwrites all that recovery must do without: control areas, free blocks but for their sizes, flags. */
  spoilDerived(next: (below: number) => number): void {
    const garbage = () => next(2 ** 32);
    for (let heap = 0; heap < HEAPS.length; heap++) {
      for (let at = this.#heap(heap) + 4; at < this.#heap(heap) + FRAME_BYTES; at += 4)
        this.#setWord(at, garbage());
    }
    for (let frame = this.#first; frame < this.frames - 1; frame++) {
      const entry = this.entryAt(frame) >>> 2;
      if (this.words[entry] === 0) continue;
      const startsRun = ((this.words[entry - 2]! ^ this.words[entry]!) & OWNER_BITS) !== 0;
      if (startsRun) this.#spoilRun(frame * FRAME_BYTES, this.words[entry]! & OWNER_BITS, garbage);
    }
    for (let frame = this.#first; frame < this.frames - 1; frame++) {
      const entry = this.entryAt(frame) >>> 2;
      if (this.words[entry] !== 0)
        this.words[entry] = (this.words[entry]! & OWNER_BITS) | (garbage() & 0x3ff0);
    }
  }

  #spoilRun(start: number, owner: number, garbage: () => number): void {
    let block = start;
    while (
      block % FRAME_BYTES !== 0 ||
      (this.words[this.entryAt(block >>> 12) >>> 2]! & OWNER_BITS) === owner
    ) {
      const end = block + this.blockBytes(block);
      const at = block >>> 2;
      if ((this.words[at]! & (1 << 28)) !== 0) {
        for (let word = at + 1; word < end >>> 2; word++) this.words[word] = garbage();
      } else {
        this.words[at] = (this.words[at]! & ~(1 << 29)) | (garbage() & (1 << 29));
      }
      block = end;
    }
  }

  #heap(heap: number): number {
    return AT.heap[heap]! * FRAME_BYTES;
  }
}
