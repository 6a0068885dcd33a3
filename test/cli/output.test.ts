import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { write } from '../../src/cli/output.ts';

test('a write waits until its text was taken', async () => {
  const taken: string[] = [];
  const out = new Writable({
    write(text, _encoding, done) {
      setImmediate(() => {
        taken.push(String(text));
        done();
      });
    },
  });
  await write(out, 'one', new AbortController().signal);
  await write(out, 'two');
  expect(taken).toEqual(['one', 'two']);
});

test('a write that nobody takes is not waited for once it is to end', async () => {
  const stop = new AbortController();
  const stuck = new Writable({ write() {} });
  const writing = write(stuck, 'one', stop.signal);
  stop.abort();
  await writing;
  await write(stuck, 'two', stop.signal);
  expect(stuck.writableLength).toBe(6);
});

test('a write that fails ends, and the output tells of it', async () => {
  const errors: string[] = [];
  const broken = new Writable({ write: (_text, _encoding, done) => done(new Error('no reader')) });
  broken.on('error', ({ message }) => errors.push(message));
  await write(broken, 'one');
  await new Promise(setImmediate);
  expect(errors).toEqual(['no reader']);
});
