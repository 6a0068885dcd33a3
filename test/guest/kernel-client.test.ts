// The Linux kernel's own NBD driver against our server. The guest verifies what it reads, and ends with an error if it
// is wrong.
import { expect, test } from 'vitest';
import { DEVICE_BYTES } from '../../guest/devices/device.ts';
import { KERNEL_CLIENT_PROGRAMS, runKernelClient } from '../../guest/workloads/kernel-client.ts';
import { needGuest } from './needs.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 300_000;
const SECONDS = 240;

test(
  "the kernel's NBD driver writes, reads, discards and swaps on an export over TCP",
  async (context) => {
    needGuest(context, KERNEL_CLIENT_PROGRAMS);
    const load = { memoryMib: 128, hogMib: 132, seconds: SECONDS };
    const { bytes, pagesOut, pagesIn, trims } = await runKernelClient(load);
    expect(bytes).toBe(DEVICE_BYTES);
    expect(pagesOut).toBeGreaterThan(0);
    expect(pagesIn).toBeGreaterThan(0);
    expect(trims).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);
