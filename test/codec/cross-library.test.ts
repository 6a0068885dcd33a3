import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileNative } from '../../bench/support/native.ts';
import { allPages, fixturePages, generatedPage } from './sample-pages.ts';
import { CODECS, type CodecName, PAGE_BYTES, Workbench } from './workbench.ts';

/** In the order of their numbers in library.c. */
const OPERATIONS = ['compress', 'decompress', 'compress hardest'] as const;

/** One question to the library: see library.c. */
interface Question {
  codec: CodecName;
  operation: (typeof OPERATIONS)[number];
  pageLength: number;
  bytes: Uint8Array;
}

const directory = mkdtempSync(join(tmpdir(), 'tmem-library-'));
const executable = join(directory, 'library');
/** Above the answers to all pages at once. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** The library's answers in order; undefined where it refused. */
function askLibrary(questions: readonly Question[]): (Uint8Array | undefined)[] {
  const frames = questions.flatMap(({ codec, operation, pageLength, bytes }) => [
    Buffer.from(
      Uint32Array.of(CODECS.indexOf(codec), OPERATIONS.indexOf(operation), pageLength, bytes.length).buffer,
    ),
    bytes,
  ]);
  const ran = spawnSync(executable, { input: Buffer.concat(frames), maxBuffer: MAX_ANSWER_BYTES });
  if (ran.status !== 0) throw new Error(`the library program ended with ${ran.status} ${ran.error ?? ''}`);
  let at = 0;
  return questions.map(() => {
    const length = ran.stdout.readUInt32LE(at);
    const answer = ran.stdout.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    return length === 0 ? undefined : answer;
  });
}

function expectSamePages(got: readonly (Uint8Array | undefined)[], pages: readonly Uint8Array[]): void {
  const wrong = pages.findIndex((page, index) => !got[index] || Buffer.compare(got[index], page) !== 0);
  expect(wrong).toBe(-1);
}

const generated = Array.from({ length: PAGE_BYTES }, (_, index) => generatedPage(index + 1, 1000 + index));

describe.each(CODECS)('%s and the public library', (codec) => {
  let bench: Workbench;
  beforeAll(async () => {
    compileNative(new URL('library.c', import.meta.url), executable);
    bench = await Workbench.make();
  });

  it.each([
    ['real pages', allPages()],
    ['generated pages of every length', generated],
  ])('the library reads what we write: %s', (_, pages) => {
    const questions = pages.map((page) => {
      const bytes = bench.compress(codec, page)!;
      return { codec, operation: 'decompress', pageLength: page.length, bytes } as const;
    });
    expectSamePages(askLibrary(questions), pages);
  });

  // The hardest compressors use every instruction of the formats, ours and the quick ones do not.
  it.each([
    ['real pages', 'compress', allPages()],
    ['generated pages of every length', 'compress', generated],
    ['real pages', 'compress hardest', fixturePages()],
    ['generated pages of every length', 'compress hardest', generated],
  ] as const)('we read what the library writes: %s, %s', (_, operation, pages) => {
    const packed = askLibrary(
      pages.map((bytes) => {
        return { codec, operation, pageLength: bytes.length, bytes };
      }),
    );
    expectSamePages(
      packed.map((bytes, index) => bench.decompress(codec, bytes!, pages[index]!.length)),
      pages,
    );
  });
});

afterAll(() => rmSync(directory, { recursive: true }));
