// Sources of memory pressure, read from made-up trees of the kernel's files.
import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelSources } from '../../src/zcache/pressure/index.ts';
import {
  GIB,
  type Group,
  MIB,
  makeTree,
  meminfoText,
  stallText,
  V1_MOUNT,
  V2_MOUNT,
  v1Group,
  v2Group,
} from './pressure-tree.ts';

const v2Place = (path: string) => ({ 'proc/self/cgroup': `0::${path}\n`, 'proc/self/mountinfo': V2_MOUNT });
const v1Place = (path: string) => ({
  'proc/self/cgroup': `9:name=systemd:/x\n4:cpu,memory:${path}\n3:cpuset:/y\n0::/\n`,
  'proc/self/mountinfo': V1_MOUNT,
});

function scopesOf(files: Readonly<Record<string, string>>) {
  return new KernelSources(makeTree(files).root).read();
}

/** Names, sizes and what is available, in MiB. */
function memoryOf(files: Readonly<Record<string, string>>) {
  return scopesOf(files).map(({ name, memory }) => [
    name,
    memory && memory.sizeBytes / MIB,
    memory && memory.availableBytes / MIB,
  ]);
}

describe('the machine', () => {
  test('is known by MemAvailable and its stall information', () => {
    const files = {
      'proc/meminfo': meminfoText(8 * GIB, 3 * GIB),
      'proc/pressure/memory': stallText(12.5, 77_000),
    };
    expect(scopesOf(files)).toEqual([
      {
        name: 'machine',
        memory: { sizeBytes: 8 * GIB, availableBytes: 3 * GIB },
        stall: { some10Percent: 12.5, totalUs: 77_000 },
      },
    ]);
  });

  test('is what is left of it when one of its files is missing', () => {
    expect(scopesOf({ 'proc/meminfo': meminfoText(GIB, 0) })).toEqual([
      { name: 'machine', memory: { sizeBytes: GIB, availableBytes: 0 } },
    ]);
    expect(scopesOf({ 'proc/pressure/memory': stallText(1, 2) })).toEqual([
      { name: 'machine', stall: { some10Percent: 1, totalUs: 2 } },
    ]);
    expect(scopesOf({})).toEqual([]);
  });

  test.each([
    ['without MemAvailable, as before Linux 3.14', 'MemTotal: 100 kB\nMemFree: 50 kB\n'],
    ['with more available than there is', meminfoText(GIB, 2 * GIB)],
    ['with no memory at all', meminfoText(0, 0)],
    ['that is empty', ''],
  ])('is missing with a meminfo %s', (_, meminfo) => {
    expect(scopesOf({ 'proc/meminfo': meminfo })).toEqual([]);
  });

  test.each([
    'some avg10=101.00 avg60=0.00 avg300=0.00 total=5\n',
    'some avg10=-1.00 avg60=0.00 avg300=0.00 total=5\n',
    'full avg10=1.00 avg60=0.00 avg300=0.00 total=5\n',
    'some avg10=1.00\n',
  ])('has no stall where the file says %j', (text) => {
    expect(scopesOf({ 'proc/pressure/memory': text })).toEqual([]);
  });
});

describe('a control group of v2', () => {
  test('has its limit, less what is used, plus clean cache of files: half of the active', () => {
    const group: Group = { limit: 512 * MIB, used: 500 * MIB, inactiveFile: 100 * MIB, activeFile: 40 * MIB };
    expect(memoryOf({ ...v2Place('/app'), ...v2Group('app', { ...group, dirty: 10 * MIB }) })).toEqual([
      ['cgroup:/app', 512, 122],
    ]);
  });

  test('full of shared memory has nothing available: that is no cache the kernel can drop', () => {
    const files = { ...v2Place('/app'), ...v2Group('app', { limit: 512 * MIB, used: 512 * MIB }) };
    expect(memoryOf(files)).toEqual([['cgroup:/app', 512, 0]]);
  });

  test('is bound by memory.high where that is lower, even when it is exceeded', () => {
    const files = v2Group('app', { limit: 512 * MIB, high: 300 * MIB, used: 310 * MIB });
    expect(memoryOf({ ...v2Place('/app'), ...files })).toEqual([['cgroup:/app', 300, 0]]);
  });

  test('tells of its own stalls and of kills at its own limit', () => {
    const files = {
      ...v2Place('/app'),
      ...v2Group('app', { limit: GIB, used: MIB, ooms: 3 }),
      'sys/fs/cgroup/app/memory.pressure': stallText(4, 5),
      'sys/fs/cgroup/app/memory.events': 'oom 99\n',
    };
    expect(scopesOf(files)).toMatchObject([{ ooms: 3, stall: { some10Percent: 4, totalUs: 5 } }]);
  });

  test('takes memory.events where the kernel has no local ones', () => {
    const tree = makeTree({ ...v2Place('/app'), ...v2Group('app', { limit: GIB, used: MIB }) });
    tree.write('sys/fs/cgroup/app/memory.events.local', undefined);
    tree.write('sys/fs/cgroup/app/memory.events', 'low 0\noom 4\n');
    expect(new KernelSources(tree.root).read()).toMatchObject([{ ooms: 4 }]);
  });

  test('counts beside the groups above it, as far as those have limits', () => {
    const files = {
      ...v2Place('/a/b/c'),
      ...v2Group('a', { limit: 400 * MIB, used: 390 * MIB }),
      ...v2Group('a/b', { limit: 'max', used: 200 * MIB }),
      ...v2Group('a/b/c', { limit: 300 * MIB, used: 100 * MIB }),
    };
    expect(memoryOf(files)).toEqual([
      ['cgroup:/a/b/c', 300, 200],
      ['cgroup:/a', 400, 10],
    ]);
  });

  test('without the memory controller leaves the limits above it in force', () => {
    const files = {
      ...v2Place('/a/b'),
      ...v2Group('a', { limit: 400 * MIB, used: 390 * MIB }),
      'sys/fs/cgroup/a/b/cgroup.procs': '1\n',
    };
    expect(memoryOf(files)).toEqual([['cgroup:/a', 400, 10]]);
  });

  test.each(['memory.current', 'memory.stat', 'memory.max'])('without %s is missing', (file) => {
    const tree = makeTree({ ...v2Place('/app'), ...v2Group('app', { limit: GIB, used: MIB }) });
    const sources = new KernelSources(tree.root);
    expect(sources.read()).toHaveLength(1);
    tree.write(`sys/fs/cgroup/app/${file}`, undefined);
    expect(sources.read()).toEqual([]);
  });
});

describe('a control group of v1', () => {
  test('has its limit, less what is used, plus clean cache of files of all groups in it', () => {
    const group = {
      limit: 512 * MIB,
      used: 500 * MIB,
      inactiveFile: 100 * MIB,
      activeFile: 40 * MIB,
      ooms: 2,
    };
    const files = { ...v1Place('/app'), ...v1Group('app', { ...group, dirty: 10 * MIB }) };
    expect(memoryOf(files)).toEqual([['cgroup:/app', 512, 122]]);
    expect(scopesOf(files)).toMatchObject([{ ooms: 2 }]);
  });

  test('without a limit is none', () => {
    expect(scopesOf({ ...v1Place('/app'), ...v1Group('app', { limit: 'max', used: MIB }) })).toEqual([]);
  });

  test('counts beside the groups above it', () => {
    const files = {
      ...v1Place('/a/b'),
      ...v1Group('', { limit: 'max', used: GIB }),
      ...v1Group('a', { limit: 300 * MIB, used: 250 * MIB }),
      ...v1Group('a/b', { limit: 400 * MIB, used: 10 * MIB }),
    };
    expect(memoryOf(files)).toEqual([
      ['cgroup:/a/b', 400, 390],
      ['cgroup:/a', 300, 50],
    ]);
  });

  test('is not bound by a group above that does not count what its groups use', () => {
    const files = {
      ...v1Place('/a/b'),
      ...v1Group('a', { limit: 300 * MIB, used: 250 * MIB }),
      ...v1Group('a/b', { limit: 400 * MIB, used: 10 * MIB }),
      'sys/fs/cgroup/memory/a/memory.use_hierarchy': '0\n',
    };
    expect(memoryOf(files)).toEqual([['cgroup:/a/b', 400, 390]]);
  });

  test('knows of a tighter limit above what a container can see', () => {
    const group = { limit: 400 * MIB, used: 150 * MIB };
    const files = { ...v1Place('/'), ...v1Group('', group, String(200 * MIB)) };
    expect(memoryOf(files)).toEqual([['cgroup:/', 200, 50]]);
  });
});

describe('the place of the process', () => {
  const limits = {
    ...v2Group('', { limit: 300 * MIB, used: 100 * MIB }),
    ...v2Group('sub', { limit: 100 * MIB, used: 40 * MIB }),
  };
  const mounted = (root: string) => V2_MOUNT.replace(' / ', ` ${root} `);

  test.each([
    ['a container that sees its group as root', '/', V2_MOUNT, ['cgroup:/']],
    ['a container whose mount is its group', '/docker/abc', mounted('/docker/abc'), ['cgroup:/']],
    ['a group within that', '/docker/abc/sub', mounted('/docker/abc'), ['cgroup:/sub', 'cgroup:/']],
    ['a path that leads out of the mount', '/../other', V2_MOUNT, ['cgroup:/']],
    ['a path that is not in the mount', '/docker/abcdef', mounted('/docker/abc'), ['cgroup:/']],
    ['a group that the mount does not show', '/gone/below', V2_MOUNT, ['cgroup:/']],
    ['no mount', '/sub', '22 27 0:21 / /proc rw - proc proc rw\n', []],
  ])('is found in %s', (_, place, mountinfo, names) => {
    const files = { ...limits, 'proc/self/cgroup': `0::${place}\n`, 'proc/self/mountinfo': mountinfo };
    expect(scopesOf(files).map(({ name }) => name)).toEqual(names);
  });

  test('is found under a mount point with blanks in its name', () => {
    const files = {
      'proc/self/cgroup': '0::/\n',
      'proc/self/mountinfo': '31 23 0:28 / /my\\040groups rw - cgroup2 cgroup2 rw\n',
      'my groups/memory.max': '1048576\n',
      'my groups/memory.current': '0\n',
      'my groups/memory.stat': 'inactive_file 0\nactive_file 0\n',
    };
    expect(memoryOf(files)).toEqual([['cgroup:/', 1, 1]]);
  });

  test('is followed when the process is moved', () => {
    const tree = makeTree({ ...v2Place('/sub'), ...limits });
    const sources = new KernelSources(tree.root);
    expect(sources.read().map(({ name }) => name)).toEqual(['cgroup:/sub', 'cgroup:/']);
    tree.write('proc/self/cgroup', '0::/\n');
    expect(sources.read().map(({ name }) => name)).toEqual(['cgroup:/']);
  });

  test('is found again when the memory controller comes later', () => {
    const tree = makeTree(v2Place('/sub'));
    const sources = new KernelSources(tree.root);
    expect(sources.read()).toEqual([]);
    for (const [path, text] of Object.entries(limits)) tree.write(path, text);
    let looks = 0;
    while (sources.read().length === 0 && looks < 100) looks++;
    expect(sources.read()).toHaveLength(2);
  });
});

describe('whatever is in the files', () => {
  const files = {
    ...v2Place('/a/b'),
    ...v2Group('a', { limit: GIB, used: MIB }),
    ...v2Group('a/b', { limit: GIB, used: MIB }),
    'proc/meminfo': meminfoText(GIB, MIB),
    'proc/pressure/memory': stallText(1, 2),
  };
  const nonsense = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.constantFrom(
      '-1\n',
      '1e9\n',
      'NaN\n',
      'max\n',
      '99999999999999999999\n',
      '',
      '0\n',
      '12 34\n',
      '::::\n',
    ),
    fc.constant('inactive_file -5\nactive_file 99999999999999999999\n'),
    fc.constant(`31 23 0:28 /\\999 ${'../'.repeat(40)} rw - cgroup2\n`),
    fc.constant('x'.repeat(600 * 1024)),
    fc.constant(undefined),
  );

  test('no read throws, every figure makes sense, and no descriptor stays open', () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const tree = makeTree(files);
    const before = descriptors();
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(files)), nonsense, (path, text) => {
        tree.write(path, text);
        for (const { memory, stall, ooms = 0 } of new KernelSources(tree.root).read()) {
          const { sizeBytes, availableBytes } = memory ?? { sizeBytes: 1, availableBytes: 0 };
          expect(Number.isSafeInteger(sizeBytes) && sizeBytes > 0).toBe(true);
          expect(Number.isSafeInteger(availableBytes) && availableBytes >= 0).toBe(true);
          expect(availableBytes).toBeLessThanOrEqual(sizeBytes);
          expect(stall?.some10Percent ?? 0).toBeLessThanOrEqual(100);
          expect(Number.isFinite(ooms)).toBe(true);
        }
        tree.write(path, files[path as keyof typeof files]);
      }),
      { numRuns: 500 },
    );
    expect(descriptors()).toBe(before);
    expect(new KernelSources(tree.root).read()).toHaveLength(3);
  });

  test('a directory in place of a file is as if it were missing', () => {
    const tree = makeTree(files);
    tree.write('proc/meminfo', undefined);
    tree.write('proc/meminfo/inside', '');
    expect(new KernelSources(tree.root).read()[0]).toEqual({
      name: 'machine',
      stall: { some10Percent: 1, totalUs: 2 },
    });
  });
});
