// Stores on Redis for tests: quick to notice, closed with the server they are on.
import { randomBytes } from 'node:crypto';
import type { StoreUnderTest } from '../../../src/ramster/remote-store/conformance.ts';
import { RedisStore, type RedisStoreOptions } from '../../../src/ramster/remote-store/redis-store.ts';
import { LONG_DEADLINE_MS, PatientClock } from './patient-clock.ts';

export function newName(): string {
  return `t${randomBytes(4).toString('hex')}`;
}

/** Options of a store whose names nobody else has. */
export function optionsFor(connection: RedisStoreOptions['connection']): RedisStoreOptions {
  return {
    name: 'redis',
    cluster: newName(),
    connection,
    owner: { name: 'a', memory: 1 },
    clock: new PatientClock(),
    deadlineMs: LONG_DEADLINE_MS,
    checkIntervalMs: 50,
  };
}

/** A store for the conformance suite. */
export async function storeUnderTest(
  connection: RedisStoreOptions['connection'],
  engine: Required<Pick<StoreUnderTest, 'silence' | 'answer' | 'loseMemory' | 'close'>>,
): Promise<StoreUnderTest> {
  const clock = new PatientClock();
  const options = { ...optionsFor(connection), clock };
  const opened: RedisStore[] = [];
  const open = async (owner: string): Promise<RedisStore> => {
    const store = await RedisStore.open({ ...options, owner: { name: owner, memory: 1 } });
    opened.push(store);
    if (store.state !== 'up') throw new Error(`the store is ${store.state}: ${store.problem}`);
    return store;
  };
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((store) => store.close()));
    await engine.close();
  };
  try {
    return {
      ...engine,
      silence: async () => {
        clock.isSilent = true;
        await engine.silence();
      },
      answer: async () => {
        await engine.answer();
        clock.isSilent = false;
      },
      close,
      store: await open('a'),
      neighbour: () => open('b'),
    };
  } catch (error) {
    await close();
    throw error;
  }
}
