import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ARENA_BYTES_MAX } from '../src/arena/index.ts';
import { TmemError } from '../src/errors.ts';
import { formatByteSize, parseByteSize } from '../src/zcache/byte-size.ts';
import { checkedName, clientOptions, poolDefaults, poolOptions } from '../src/zcache/options.ts';
import { type SettingsOptions, storeSettings } from '../src/zcache/settings.ts';

const MIB = 2 ** 20;

/** The error a call throws; the call must throw one of ours. */
function failure(call: () => unknown): TmemError {
  try {
    call();
  } catch (error) {
    if (TmemError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('byte sizes', () => {
  test.each([
    ['256 MiB', 256 * MIB],
    ['64M', 64 * MIB],
    ['1.5 GiB', 1.5 * 2 ** 30],
    ['64kB', 64_000],
    [' 4096 ', 4096],
    ['12 b', 12],
    ['0.1 KiB', 102],
  ])('%j is %d bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });

  test.each(['', 'MiB', '-1 MiB', '1e3', '1 parsec', '1,5 GiB', '99999999 TiB', '1 MiB 2', 'NaN', '0x10'])(
    '%j is no size',
    (text) => {
      expect(parseByteSize(text)).toBeUndefined();
    },
  );

  test('what is formatted for people can be read back to within its digits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
        const again = parseByteSize(formatByteSize(bytes));
        expect(Math.abs((again ?? Number.NaN) - bytes)).toBeLessThanOrEqual(bytes * 0.06);
      }),
    );
  });
});

describe('store settings', () => {
  test('memory alone is enough, and everything else has a value', () => {
    const settings = storeSettings({ memory: '256 MiB' });
    expect(settings).toEqual({
      memory: 256 * MIB,
      arenas: 1,
      threads: 8,
      pools: 4096,
      clients: 255,
      stagingPages: 64,
      codec: 'lz4',
      ephemeralPam: 'zbud',
      persistentPam: 'zv',
      verify: false,
      zvMaxPageBytes: 3584,
      zvMaxMeanBytes: 2560,
      persistentLimitPercent: 'off',
      incompressible: 'refuse',
      reclaimOrder: 'lru',
      prefault: false,
      debug: false,
      lockTimeoutMs: 5000,
      cleancache: { enabled: true, ignoreInactive: false },
      frontswap: { enabled: true, exclusiveLoads: false, swizzleBits: 4 },
      shrinker: {
        enabled: true,
        lowPercent: 10,
        highPercent: 15,
        stallPercent: 10,
        idleIntervalMs: 1000,
        nearIntervalMs: 50,
      },
    });
    expect(storeSettings({ memory: '256 MiB' }, true).threads, 'with a name').toBe(32);
  });

  test('pages are verified by default in debug builds, and as asked otherwise', () => {
    expect(storeSettings({ memory: '8 MiB', debug: true }).verify).toBe(true);
    expect(storeSettings({ memory: '8 MiB', debug: true, verify: false }).verify).toBe(false);
    expect(storeSettings({ memory: '8 MiB', verify: true }).verify).toBe(true);
  });

  test('a setting given as undefined takes its default', () => {
    expect(
      storeSettings({ memory: '8 MiB', threads: undefined, frontswap: { swizzleBits: undefined } }),
    ).toEqual(storeSettings({ memory: '8 MiB' }));
  });

  test('all mistakes are named at once, each with its value and what is allowed', () => {
    const wrong = {
      memory: '1 MiB',
      threads: 0,
      codec: 'zstd',
      lockTimeoutMs: 1.5,
      verify: 'yes',
      colour: 'red',
      shape: 'round',
      frontswap: { swizzleBits: 40, nonsense: true },
    };
    const error = failure(() => storeSettings(wrong as unknown as SettingsOptions));
    expect(error.code).toBe('TMEM_ERR_SETTING');
    for (const part of [
      /memory: got "1 MiB", allowed is 8 MiB to 256 GiB/,
      /threads: got 0, allowed is a whole number from 1 to 128/,
      /codec: got "zstd", allowed is 'lz4' or 'lzo'/,
      /lockTimeoutMs: got 1.5, allowed is a whole number of milliseconds from 10 to 600000/,
      /verify: got "yes", allowed is true or false/,
      /colour: unknown, known are memory, arenas/,
      /shape: unknown/,
      /frontswap.swizzleBits: got 40, allowed is a whole number of bits from 0 to 16/,
      /frontswap.nonsense: unknown, known are enabled/,
    ]) {
      expect(error.message).toMatch(part);
    }
  });

  test('a missing memory, or no object at all, is said so', () => {
    expect(failure(() => storeSettings({} as SettingsOptions)).message).toMatch(/memory: is required/);
    for (const nothing of [undefined, null, 'x', 5, []]) {
      expect(failure(() => storeSettings(nothing as unknown as SettingsOptions)).message).toMatch(
        /expects an object/,
      );
    }
  });

  test.each([
    [{ memory: '8 GiB', arenas: 1 }, /arenas: got 1, allowed is 2 to 64/],
    [{ memory: '16 MiB', arenas: 3 }, /arenas: got 3, allowed is 1 to 2/],
    [{ memory: '8 MiB', threads: 128 }, /threads: got 128 with 8 staging pages each/],
    [
      { memory: '8 MiB', zvMaxMeanBytes: 4096 },
      /zvMaxMeanBytes: got 4096, allowed is at most zvMaxPageBytes/,
    ],
    [
      { memory: '8 MiB', persistentLimitPercent: 0 },
      /persistentLimitPercent: got 0, allowed is .*'off'.* 1 to 1000/,
    ],
    [{ memory: Number.NaN }, /memory: got NaN/],
    [{ memory: 2 ** 50 }, /memory: got 1125899906842624, allowed is 8 MiB to 256 GiB/],
  ])('%j cannot be', (options, message) => {
    const error = failure(() => storeSettings(options as SettingsOptions));
    expect(error.code).toBe('TMEM_ERR_SETTING');
    expect(error.message).toMatch(message);
  });

  test('whatever memory and threads are asked for, the result keeps its own rules or is refused', () => {
    const asked = fc.record({
      memory: fc.integer({ min: 0, max: 65 * ARENA_BYTES_MAX }),
      threads: fc.integer({ min: 1, max: 128 }),
      arenas: fc.option(fc.integer({ min: 1, max: 64 }), { nil: undefined }),
    });
    let accepted = 0;
    fc.assert(
      fc.property(asked, (options) => {
        let settings: ReturnType<typeof storeSettings>;
        try {
          settings = storeSettings(options);
        } catch (error) {
          expect(TmemError.is(error) && error.code).toBe('TMEM_ERR_SETTING');
          return;
        }
        accepted++;
        expect(settings.arenas * ARENA_BYTES_MAX).toBeGreaterThanOrEqual(settings.memory);
        expect(settings.memory / settings.arenas).toBeGreaterThanOrEqual(8 * MIB);
        expect(settings.threads * settings.stagingPages * 4096).toBeLessThanOrEqual(settings.memory / 4);
      }),
    );
    expect(accepted).toBeGreaterThan(0);
  });

  test('no value of any setting does anything but pass or throw our error', () => {
    const names = Object.keys(storeSettings({ memory: '8 MiB' }));
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.anything(), (name, value) => {
        try {
          storeSettings({ memory: '8 MiB', [name]: value } as SettingsOptions);
        } catch (error) {
          expect(TmemError.is(error)).toBe(true);
          expect((error as Error).message).toContain(name);
        }
      }),
    );
  });
});

describe('client and pool options', () => {
  test('what was not given stays not given', () => {
    expect(clientOptions()).toEqual({});
    expect(clientOptions({ weight: 3, cap: '64 MiB' })).toEqual({ weight: 3, cap: 64 * MIB });
    expect(poolOptions({ kind: 'persistent' })).toEqual({ kind: 'persistent' });
  });

  test.each([
    [{ weight: 0 }, /weight: got 0/],
    [{ weight: 1_000_001 }, /weight: got 1000001, allowed is a whole number from 1 to 1000000/],
    [{ cap: 0 }, /cap: got 0, allowed is 4 KiB to/],
    [{ wait: 3 }, /wait: unknown, known are weight, cap/],
  ])('client options %j cannot be', (options, message) => {
    const error = failure(() => clientOptions(options as object));
    expect([error.code, error.message]).toEqual(['TMEM_ERR_SETTING', expect.stringMatching(message)]);
  });

  test.each([
    [{}, /kind: is required/],
    [{ kind: 'eternal' }, /kind: got "eternal", allowed is 'ephemeral' or 'persistent'/],
    [{ kind: 'ephemeral', shared: 'abc' }, /shared: got "abc", allowed is a UUID/],
    [{ kind: 'ephemeral', limit: 0 }, /limit: got 0/],
    [{ kind: 'ephemeral', demoteTo: {} }, /demoteTo: needs limit.*demoteTo: needs pam 'raw'/],
    [{ kind: 'ephemeral', demoteTo: 'cold', limit: 1 }, /demoteTo: got "cold", allowed is a pool/],
    [{ kind: 'ephemeral', pam: 'raw', codec: 'lz4' }, /codec: none with pam 'raw'/],
    [{ kind: 'ephemeral', pam: 'zbud', codec: 'none' }, /codec: 'none' needs pam 'zv'/],
    [{ kind: 'ephemeral', precompressed: true }, /precompressed: not supported, the store compresses/],
    [{ kind: 'ephemeral', pageSize: 8192 }, /pageSize: not supported/],
  ])('pool options %j cannot be', (options, message) => {
    const error = failure(() => poolOptions(options as never));
    expect([error.code, error.message]).toEqual(['TMEM_ERR_POOL_FLAGS', expect.stringMatching(message)]);
  });

  test('a UUID is the same pool however it is written', () => {
    const shared = 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6';
    for (const written of [shared, shared.toUpperCase(), shared.replaceAll('-', '')]) {
      expect(poolOptions({ kind: 'ephemeral', shared: written }).shared).toBe(shared);
    }
  });

  test('a new pool takes codec and memory from its options, else from the settings of the store', () => {
    const settings = storeSettings({
      memory: '8 MiB',
      codec: 'lzo',
      ephemeralPam: 'zv',
      persistentPam: 'zbud',
    });
    expect(poolDefaults({ kind: 'ephemeral' }, settings)).toEqual({ codec: 'lzo', pam: 'zv' });
    expect(poolDefaults({ kind: 'persistent' }, settings)).toEqual({ codec: 'lzo', pam: 'zbud' });
    expect(poolDefaults({ kind: 'persistent', codec: 'none' }, settings)).toEqual({
      codec: 'none',
      pam: 'zv',
    });
    expect(poolDefaults({ kind: 'persistent', codec: 'lz4', pam: 'raw' }, settings)).toEqual({
      codec: 'lz4',
      pam: 'raw',
    });
  });

  test('demoteTo is handed back as the object that was given', () => {
    const cold = { id: 3 };
    expect(poolOptions({ kind: 'ephemeral', pam: 'raw', limit: 10, demoteTo: cold }).demoteTo).toBe(cold);
  });
});

describe('names', () => {
  test.each(['a', 'pages of the web', 'ä'.repeat(32), '🐘', 'x'.repeat(64)])('%j is a name', (name) => {
    expect(checkedName('pool', name)).toBe(name);
  });

  test.each([
    ['', 'is empty'],
    ['x'.repeat(65), 'has 65 bytes'],
    ['ä'.repeat(33), 'has 66 bytes'],
    ['a\nb', 'has control characters'],
    ['\u0000', 'has control characters'],
    ['\ud800', 'is not well-formed Unicode'],
  ])('%j is none: it %s', (name, reason) => {
    const error = failure(() => checkedName('client', name));
    expect(error.code).toBe('TMEM_ERR_NAME');
    expect(error.message).toContain(reason);
  });

  test('what is no string is a wrong type', () => {
    expect(failure(() => checkedName('client', 7 as unknown as string)).code).toBe('TMEM_ERR_TYPE');
  });
});
