// A file as the device of an area: when it is closed, and when somebody else cuts it.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { FileDevice } from '../../src/frontswap/index.ts';
import { descriptors } from '../../src/zcache/index.ts';

const SLOT_BYTES = 4096;

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'tmem-device-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

test('a device is not closed while the system still works with the number of its descriptor', async () => {
  const gate = Promise.withResolvers<boolean>();
  const punch = vi.spyOn(Object.getPrototypeOf(descriptors()), 'punchHole').mockReturnValue(gate.promise);
  onTestFinished(() => punch.mockRestore());
  const device = await FileDevice.open(join(folder, 'file'), 64 * SLOT_BYTES);
  await device.write(0, new Uint8Array(SLOT_BYTES).fill(1));
  const { descriptor } = device;
  const before = fs.fstatSync(descriptor);
  const zeroed = device.zero(0, SLOT_BYTES);
  let closed = false;
  const closing = device.close().then(() => {
    closed = true;
  });
  await delay(20);
  expect(closed).toBe(false);
  expect(fs.fstatSync(descriptor).ino).toBe(before.ino);
  expect(punch).toHaveBeenCalledWith(descriptor, 0, SLOT_BYTES);
  gate.resolve(true);
  await Promise.all([zeroed, closing]);
  expect(closed).toBe(true);
});

test('what somebody else cut off is an error, and not zeroes', async () => {
  const path = join(folder, 'file');
  const device = await FileDevice.open(path, 8 * SLOT_BYTES + 100);
  const content = new Uint8Array(8 * SLOT_BYTES + 100).fill(7);
  await device.write(0, content);
  const out = new Uint8Array(9 * SLOT_BYTES);
  await device.read(0, out);
  expect(out.indexOf(0)).toBe(content.length);
  fs.truncateSync(path, 3 * SLOT_BYTES);
  await device.read(0, out.subarray(0, 3 * SLOT_BYTES));
  for (const [slot, count] of [
    [3, 1],
    [2, 2],
    [8, 1],
  ] as const) {
    const part = out.subarray(0, count * SLOT_BYTES);
    await expect(device.read(slot * SLOT_BYTES, part)).rejects.toMatchObject({
      code: 'TMEM_ERR_BACKING_FILE',
    });
  }
  await device.close();
});
