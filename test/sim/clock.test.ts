// Virtual time: events in order, promises settled in between, and processes that stop, proceed and end.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VirtualClock } from '../../sim/clock.ts';
import { SimProcess } from '../../sim/process.ts';
import { Trace } from '../../sim/trace.ts';

function newProcess(clock: VirtualClock, clockSpeed = 1): SimProcess {
  return new SimProcess({ name: 'a', host: 0, clock, trace: new Trace(), clockZeroMs: 1000, clockSpeed });
}

test('events run by time, those of one time in the order set, and none that was cancelled', async () => {
  const events = fc.array(fc.record({ delayMs: fc.nat(20), isCancelled: fc.boolean() }), { maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(events, async (given) => {
      const clock = new VirtualClock();
      const ran: number[] = [];
      given.forEach(({ delayMs, isCancelled }, i) => {
        const timer = clock.after(delayMs, () => {
          expect(clock.now()).toBe(delayMs);
          ran.push(i);
        });
        if (isCancelled) timer.cancel();
      });
      await clock.run(1000);
      const expected = given.flatMap(({ isCancelled }, i) => (isCancelled ? [] : [i]));
      expect(ran).toEqual(expected.sort((a, b) => given[a]!.delayMs - given[b]!.delayMs || a - b));
      expect(clock.now()).toBe(1000);
    }),
    { numRuns: 50 },
  );
});

test('many cancelled timers leave the others as they were', async () => {
  const clock = new VirtualClock();
  const ran: number[] = [];
  for (let i = 5000; i > 0; i--) {
    const timer = clock.after(i, () => ran.push(i));
    if (i % 10 !== 0) timer.cancel();
  }
  await clock.run(10_000);
  expect(ran).toEqual(Array.from({ length: 500 }, (_, i) => 10 * (i + 1)));
});

test('promises settle before the next event', async () => {
  const clock = new VirtualClock();
  const order: string[] = [];
  clock.after(1, () => {
    void (async () => {
      for (let i = 0; i < 100; i++) await null;
      order.push('settled');
    })();
  });
  clock.after(1, () => order.push('next'));
  await clock.run(10);
  expect(order).toEqual(['settled', 'next']);
});

test('a run ends when it is done, and goes on where it ended', async () => {
  const clock = new VirtualClock();
  let count = 0;
  for (let i = 1; i <= 100; i++) clock.after(i, () => count++);
  await clock.run(1000, () => count === 10);
  expect([count, clock.now()]).toEqual([10, 10]);
  await clock.run(1000);
  expect([count, clock.now()]).toEqual([100, 1000]);
});

test('an exception of an event ends the run', async () => {
  const clock = new VirtualClock();
  clock.after(1, () => {
    throw new Error('of an event');
  });
  await expect(clock.run(10)).rejects.toThrow('of an event');
});

test('a stopped process gets what came meanwhile when it proceeds, in order; an ended one gets nothing', async () => {
  const clock = new VirtualClock();
  const process = newProcess(clock);
  const ran: string[] = [];
  process.clock.after(5, () => ran.push(`timer at ${clock.now()}`));
  process.stop();
  process.run(() => ran.push(`task at ${clock.now()}`));
  await clock.run(50);
  expect(ran).toEqual([]);
  process.proceed();
  await clock.run(60);
  expect(ran).toEqual(['task at 50', 'timer at 50']);
  expect(process.runningMs).toBe(10);
  process.clock.after(5, () => ran.push('late'));
  process.end();
  await clock.run(100);
  expect(ran).toHaveLength(2);
});

test('clocks of processes have zeros and speeds of their own', async () => {
  const clock = new VirtualClock();
  const { clock: quick } = newProcess(clock, 2);
  let ranMs = 0;
  quick.after(10, () => {
    ranMs = clock.now();
  });
  await clock.run(100);
  expect([ranMs, quick.now()]).toEqual([5, 1200]);
});
