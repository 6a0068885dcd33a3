import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_CODES, TmemError } from '../src/errors.ts';

test('docs/errors.md explains every code as the table does, and no other', () => {
  const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');
  const documented: Record<string, { meaning: string; advice: string }> = {};
  for (const [, code, meaning, advice] of page.matchAll(/^\| `(TMEM_ERR_\w+)` \| (.+) \| (.+) \|$/gm)) {
    documented[code] = { meaning, advice };
  }
  expect(documented).toEqual(ERROR_CODES);
});

test('an error carries its code, its cause and its own name in the stack', () => {
  const cause = new Error('below');
  const error = new TmemError('TMEM_ERR_CLOSED', 'the store is closed', { cause });
  expect(error.code).toBe('TMEM_ERR_CLOSED');
  expect(error.cause).toBe(cause);
  expect(error.stack).toMatch(/^TmemError: the store is closed\n/);
  expect(Object.keys(error)).toEqual(['code']);
});

test('errors of another copy of the package are recognised, other errors and values are not', async () => {
  const copy = (await import('../src/errors.ts?another-copy' as string)) as typeof import('../src/errors.ts');
  expect(copy.TmemError).not.toBe(TmemError);
  const foreign = new copy.TmemError('TMEM_ERR_OID', 'x');
  expect(foreign instanceof TmemError).toBe(true);
  expect(TmemError.is(foreign)).toBe(true);
  for (const other of [
    new Error('x'),
    Object.assign(new Error('x'), { code: 'TMEM_ERR_OID' }),
    null,
    'TMEM_ERR_OID',
  ]) {
    expect(TmemError.is(other)).toBe(false);
    expect((other as unknown) instanceof TmemError).toBe(false);
  }
});

test('a derived class recognises only its own instances', () => {
  class Special extends TmemError {}
  expect(new Special('TMEM_ERR_BUSY', 'x') instanceof TmemError).toBe(true);
  expect(new TmemError('TMEM_ERR_BUSY', 'x') instanceof Special).toBe(false);
  expect(new Special('TMEM_ERR_BUSY', 'x') instanceof Special).toBe(true);
});
