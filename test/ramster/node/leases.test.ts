// Leases: whose pages are here has one, and it ends.
import { expect, test } from 'vitest';
import { VirtualClock } from '../../../sim/clock.ts';
import { Leases } from '../../../src/ramster/holder/leases.ts';

const LEASE_MS = 1000;
const a = { name: 'a', memory: 1 };

test('who put pages after its lease was forgotten, and was never heard of again, has one all the same', async () => {
  const clock = new VirtualClock();
  const leases = new Leases(clock, LEASE_MS, []);
  leases.renew(a);
  // It has said hello, and has no pages yet.
  leases.keep([]);
  leases.keep([a]);
  await clock.run(LEASE_MS);
  leases.keep([a]);
  expect(leases.takeEnded()).toEqual([]);
  await clock.run(LEASE_MS + 1);
  leases.keep([a]);
  expect(leases.takeEnded()).toEqual([a]);
});

test('of who has no pages nothing is kept', async () => {
  const clock = new VirtualClock();
  const leases = new Leases(clock, LEASE_MS, [a]);
  leases.keep([]);
  await clock.run(2 * LEASE_MS);
  expect(leases.takeEnded()).toEqual([]);
});
