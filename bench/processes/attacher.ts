// Opens a store by name: once from nothing, with the package as it is installed, and then some times more.

import { answer } from '../support/helper.ts';
import type { Attached } from './attach.ts';

const PACKAGE = new URL('../../dist/index.js', import.meta.url);

answer(async ({ name, opens }: { name: string; opens: number }): Promise<Attached> => {
  const startMs = performance.now();
  const { open } = (await import(PACKAGE.href)) as typeof import('../../src/index.ts');
  open({ name }).close();
  const coldMs = performance.now() - startMs;
  const warmMs: number[] = [];
  for (let i = 0; i < opens; i++) {
    const beganMs = performance.now();
    const store = open({ name });
    warmMs.push(performance.now() - beganMs);
    store.close();
  }
  return { coldMs, warmMs };
});
