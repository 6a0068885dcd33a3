// The compiled arena: what the two modules ask of the host, and that instantiating one leaves a live arena alone.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { activeSegments } from '../../scripts/wasm-sections.ts';
import { root } from './repository.ts';

const moduleBytes = (build: string): Buffer => readFileSync(join(root, `dist/arena.${build}.wasm`));

/** A module with one page of memory and the given data section. */
function moduleWithData(...section: number[]): Uint8Array {
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // magic, version
    ...[5, 3, 1, 0, 1], // memory section: one memory, at least one page
    ...[11, section.length, ...section],
  ]);
}

test('a data segment is found, with its address and length', () => {
  const bytes = moduleWithData(2, 0, 0x41, 0x80, 0x08, 0x0b, 3, 1, 2, 3, 0, 0x41, 0x78, 0x0b, 1, 9);
  expect(WebAssembly.validate(bytes)).toBe(true);
  expect(activeSegments(bytes)).toEqual([
    { address: 1024, bytes: 3 },
    { address: 0xfffffff8, bytes: 1 },
  ]);
});

test('a segment that is copied only on demand is let through', () => {
  const bytes = moduleWithData(1, 1, 2, 7, 7);
  expect(WebAssembly.validate(bytes)).toBe(true);
  expect(activeSegments(bytes)).toEqual([]);
});

test('the release module writes nothing when it is instantiated', () => {
  expect(activeSegments(moduleBytes('release'))).toEqual([]);
});

test('the release module asks for its memory as one that may be shared and grow to 4 GiB', () => {
  const module = new WebAssembly.Module(moduleBytes('release'));
  expect(WebAssembly.Module.imports(module)).toContainEqual({
    module: 'env',
    name: 'memory',
    kind: 'memory',
  });
});

test('the debug module checks every access to memory', () => {
  const names = WebAssembly.Module.imports(new WebAssembly.Module(moduleBytes('debug'))).map(
    ({ name }) => name,
  );
  expect(names).toEqual(expect.arrayContaining(['segfault', 'alignfault', 'emscripten_get_sbrk_ptr']));
});

test('both modules export the same names', () => {
  const exportsOf = (build: string): string[] =>
    WebAssembly.Module.exports(new WebAssembly.Module(moduleBytes(build)))
      .map(({ name }) => name)
      .sort();
  expect(exportsOf('debug')).toEqual(exportsOf('release'));
});
