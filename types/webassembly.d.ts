// The part of the WebAssembly API that is used here. TypeScript declares it only together with everything of a browser,
// which code for Node should not see. Every memory of ours is shared, so its buffer is always a SharedArrayBuffer.
// Not published: a public type must not name anything of it.
declare namespace WebAssembly {
  interface MemoryDescriptor {
    /** In wasm pages of 64 KiB, as is `maximum`. */
    initial: number;
    maximum: number;
    shared: true;
  }

  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: SharedArrayBuffer;
  }

  type ImportExportKind = 'function' | 'global' | 'memory' | 'table' | 'tag';

  class Module {
    constructor(bytes: Uint8Array);
    static exports(module: Module): { name: string; kind: ImportExportKind }[];
    static imports(module: Module): { module: string; name: string; kind: ImportExportKind }[];
  }

  // biome-ignore lint/complexity/noBannedTypes: the engine takes and gives functions of any signature
  type Imports = Record<string, Record<string, Function | Memory | number>>;

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Record<string, unknown>;
  }

  class RuntimeError extends Error {}

  function instantiate(bytes: Uint8Array, imports?: Imports): Promise<{ module: Module; instance: Instance }>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
  function compile(bytes: Uint8Array): Promise<Module>;
  function validate(bytes: Uint8Array): boolean;
}
