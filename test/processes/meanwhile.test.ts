// A client that is removed, and whose place another takes, while a call on it waits for a lock: the call finds it gone.

import { describe, expect, test } from 'vitest';
import { newScene } from './scene.ts';
import type { Tools } from './tools.ts';

/**
 * In a child: while `call` waits for a lock, client 'web' is removed and client 'next' made, which gets
 * its id. What the call gave or threw, and what 'next' has then.
 */
async function meanwhile(call: 'pool' | 'setWeight' | 'remove'): Promise<unknown> {
  const scene = newScene();
  const child = await scene.child();
  const run = ({ open, arenasOf, codeOf, Libc }: Tools, place: { name: string }, call: string) => {
    // That of the tables, and that of reclaim, which comes before it.
    const held = 8192 + (call === 'remove' ? 770 : 769) * 64;
    const store = open({ ...place, memory: '16 MiB' });
    const other = open(place);
    const client = store.client('web');
    const [arena] = arenasOf(other).all;
    const slot = arena!.word(arena!.layout.H_SLOTS) + arena!.word(arena!.layout.H_SLOT_BYTES);
    const generation = arena!.word(slot + 4);
    // The second thread has it.
    arena!.setWord(held, 2 | (generation << 8));
    let next: ReturnType<typeof other.client> | undefined;
    const { wait } = Libc.prototype;
    Libc.prototype.wait = function (...args) {
      Libc.prototype.wait = wait;
      arena!.setWord(held, 0);
      other.client('web').remove();
      next = other.client('next', { weight: 7 });
      return wait.apply(this, args);
    };
    const code = codeOf(() => {
      if (call === 'pool') client.pool('p', { kind: 'persistent' });
      else if (call === 'setWeight') client.setWeight(300);
      else client.remove();
    });
    const sameId = (next!.id & 0xffff) === (client.id & 0xffff);
    const { weight, pools } = store.stats().clients.find(({ name }) => name === 'next') ?? {};
    return { code, sameId, weight, pools: Object.keys(pools ?? {}).length };
  };
  return child.run(run, scene.place, call);
}

describe('a client that ends while a call on it waits', () => {
  test.each([
    ['pool', 'TMEM_ERR_CLIENT_GONE'],
    ['setWeight', 'TMEM_ERR_CLIENT_GONE'],
    ['remove', undefined],
  ] as const)('is gone for %s(), and its successor is left alone', async (call, code) => {
    expect(await meanwhile(call)).toEqual({ code, sameId: true, weight: 7, pools: 0 });
  });
});
