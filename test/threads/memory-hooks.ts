// What the arena's code imports in the build that calls out before every load and store (instrumented-module.ts).

/** What the module calls with each value read or written; they give it back unchanged. */
const VALUE_HOOKS = ['load', 'store'].flatMap((access) =>
  ['i32', 'i64', 'f32', 'f64'].map((type) => `${access}_val_${type}`),
);

export interface MemoryHooks {
  /** Called before each store, with its address. */
  readonly store: (address: number) => void;
  /** Called before each load, with its address. */
  readonly load?: (address: number) => void;
}

/** What the module imports beside what the arena's code does. */
export function memoryHooks({ store, load }: MemoryHooks): Record<string, (...values: never[]) => unknown> {
  const value = (_id: number, content: unknown) => content;
  return {
    load_ptr: (_id: number, _bytes: number, offset: number, address: number) => {
      load?.((address >>> 0) + offset);
      return address;
    },
    store_ptr: (_id: number, _bytes: number, offset: number, address: number) => {
      store((address >>> 0) + offset);
      return address;
    },
    memory_grow_pre: value,
    memory_grow_post: value,
    ...Object.fromEntries(VALUE_HOOKS.map((name) => [name, value])),
  };
}
