// Guests take programs that a machine may lack: then a test is left out, and says so. Never where everything has to
// run.

import type { TestContext } from 'vitest';
import { findKernel } from '../../guest/machine/kernel.ts';
import { missingPackages, type Program } from '../../guest/machine/needs.ts';

export function needGuest(context: TestContext, programs: readonly Program[]): void {
  const reason = whyNot(programs);
  if (reason === undefined) return;
  if (process.env.CI) throw new Error(reason);
  context.skip(reason);
}

function whyNot(programs: readonly Program[]): string | undefined {
  const missing = missingPackages(programs);
  if (missing.length > 0) return `not installed: ${missing.join(' ')}`;
  try {
    findKernel();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
