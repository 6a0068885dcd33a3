// A process of a scene: runs the functions that its parent sends as text, one after the other, until it is killed or
// the parent is gone.

import { TmemError } from '../../src/index.ts';
import { tools } from './tools.ts';

interface Call {
  readonly id: number;
  readonly source: string;
  readonly args: readonly unknown[];
}

process.on('message', async ({ id, source, args }: Call) => {
  try {
    const run = new Function(`return (${source});`)() as (...args: unknown[]) => unknown;
    process.send?.({ id, value: await run(tools, ...args) });
  } catch (error) {
    const code = TmemError.is(error) ? error.code : undefined;
    process.send?.({ id, error: { code, message: String((error as Error).stack) } });
  }
});
process.on('disconnect', () => process.exit());
process.send?.({ told: 'ready' });
