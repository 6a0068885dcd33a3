// The arena's code as the processes of a torture run have it: WebAssembly.Instance is replaced in them, so that the
// product's own way of instantiating it leads here. Recoveries are timed. In a process with an aim the code is the
// instrumented build, and the process ends itself before one of its accesses to the store.

import { ArenaAbort } from '../../src/arena/abort.ts';
import { memoryHooks } from '../threads/memory-hooks.ts';
import { numbers } from '../threads/workload.ts';
import { AIMS, type Aim } from './aims.ts';
import type { SharedArea } from './shared-area.ts';

type Call = (...values: never[]) => unknown;
type Env = Record<string, WebAssembly.Memory | Call>;

/** Accesses of a call that nobody has seen yet. */
const ACCESSES_FIRST = 12;
/** Accesses after a call of the host that may still be hit. */
const ACCESSES_AFTER = 400;
const WASM_PAGE_BYTES = 65_536;
/** Of three accesses about one is a store. */
const LOADS_A_STORE = 3;

const instantiate = WebAssembly.Instance;

/** Replaces WebAssembly.Instance in this thread. */
function replace(make: (module: WebAssembly.Module, env: Env) => object): void {
  const replaced = function instance(module: WebAssembly.Module, imports: { env: Env }) {
    return { exports: make(module, imports.env) };
  };
  WebAssembly.Instance = replaced as unknown as typeof WebAssembly.Instance;
}

function wrapped(exports: Record<string, unknown>, wrap: (name: string, call: Call) => Call): object {
  return Object.fromEntries(
    Object.entries(exports).map(([name, value]) => [
      name,
      typeof value === 'function' ? wrap(name, value as Call) : value,
    ]),
  );
}

function microsecondsSince(startMs: number): number {
  return Math.ceil((performance.now() - startMs) * 1000);
}

/** Times recoveries that this thread leads, and how long it takes to notice that the owner of a lock is dead. */
export function timeRecoveries(area: SharedArea): void {
  replace((module, env) => {
    const { exports } = new instantiate(module, { env });
    return wrapped(exports, (name, call) => (...values) => {
      const startMs = performance.now();
      try {
        const done = call(...values);
        if (name === 'recoverNow' && done !== 0) area.noteRecovery(microsecondsSince(startMs));
        return done;
      } catch (error) {
        const isDeath = error instanceof ArenaAbort && error.reason === 'owner-dead';
        if (isDeath) area.noteNotice(microsecondsSince(startMs));
        throw error;
      }
    });
  });
}

/** Ends this process by SIGKILL somewhere at what `aim` names. */
export function takeAim(area: SharedArea, instrumented: WebAssembly.Module, aim: number, seed: number): void {
  const trigger = new Trigger(area, aim, seed);
  replace((_module, env) => trigger.instance(instrumented, env));
}

class Trigger {
  readonly #area: SharedArea;
  readonly #number: number;
  readonly #aim: Aim;
  readonly #next: (below: number) => number;
  /** Whether only stores are hit. */
  readonly #storesOnly: boolean;
  #passing: number;
  #isCounting = false;
  /** Calls into the arena that run: the host may call it while it waits for the host. */
  #depth = 0;
  #count = 0;
  #nth = 0;

  constructor(area: SharedArea, aim: number, seed: number) {
    this.#area = area;
    this.#number = aim;
    this.#aim = AIMS[aim]!;
    this.#next = numbers(seed);
    this.#storesOnly = this.#next(2) === 0;
    this.#passing = this.#next(this.#aim.passing + 1);
  }

  instance(module: WebAssembly.Module, env: Env): object {
    const memory = env.memory as WebAssembly.Memory;
    const isStore = memory.buffer.byteLength > WASM_PAGE_BYTES;
    let privateFrom = 0;
    let privateEnd = 0;
    const touch = (address: number) => {
      if (this.#isCounting && (address < privateFrom || address >= privateEnd)) this.#touch();
    };
    const hooks = memoryHooks({ store: touch, load: this.#storesOnly ? () => {} : touch });
    const imports = isStore
      ? { ...env, ...this.#hostCalls(env), ...hooks }
      : { ...env, ...memoryHooks({ store: () => {} }) };
    const { exports } = new instantiate(module, { env: imports });
    if (!isStore) return exports;
    const constant = (name: string) => (exports[name] as { value: number }).value;
    return wrapped(exports, (name, call) => {
      const isAim = this.#aim.calls.includes(name);
      return (...values) => {
        if (isAim) this.#begin();
        const done = this.#call(call, values);
        if (name === 'recoverNow' && done !== 0) this.#area.noteRecovery(undefined);
        if (name === 'slotTake') {
          // What only this thread looks at: its copies of pages, and tables of the codecs.
          const slot = ((exports.inAddress as () => number)() >>> 0) - constant('S_IN');
          const slotBytes = new Uint32Array(memory.buffer)[constant('H_SLOT_BYTES') >>> 2]!;
          privateFrom = slot + constant('S_TABLE');
          privateEnd = slot + slotBytes;
        }
        return done;
      };
    });
  }

  #call(call: Call, values: never[]): unknown {
    this.#depth++;
    try {
      return call(...values);
    } finally {
      this.#depth--;
      if (this.#isCounting && this.#depth === 0) this.#end();
    }
  }

  /** Around what the arena asks of the host: before it, right after it, or some accesses later. */
  #hostCalls(env: Env): Record<string, Call> {
    const names = this.#aim.hostCalls ?? [];
    return Object.fromEntries(
      names.map((name) => {
        const call = env[name] as Call;
        return [
          name,
          (...values) => {
            if (this.#passing-- > 0) return call(...values);
            const draw = this.#next(4);
            if (draw === 0) this.#fire();
            const done = call(...values);
            if (draw === 1) this.#fire();
            this.#count = 0;
            this.#nth = this.#next(ACCESSES_AFTER);
            this.#isCounting = true;
            return done;
          },
        ];
      }),
    );
  }

  #begin(): void {
    if (this.#passing-- > 0) return;
    this.#isCounting = true;
    this.#count = 0;
    const seen = this.#area.accesses(this.#number) || ACCESSES_FIRST;
    const most = this.#storesOnly ? Math.ceil(seen / LOADS_A_STORE) : seen;
    // Half of them evenly over the longest call that was seen, half near the beginning, where short ones are.
    const nearBeginning = Math.floor(Math.exp((this.#next(1000) / 1000) * Math.log(most)));
    this.#nth = this.#next(2) === 0 ? this.#next(most) : nearBeginning;
  }

  /** The call had fewer accesses than were to pass. */
  #end(): void {
    this.#isCounting = false;
    if (!this.#storesOnly) this.#area.noteAccesses(this.#number, this.#count);
  }

  #touch(): void {
    if (this.#count++ === this.#nth) this.#fire();
  }

  #fire(): never {
    this.#area.noteAimed(this.#number);
    process.kill(process.pid, 'SIGKILL');
    throw new Error('this process was to be dead');
  }
}
