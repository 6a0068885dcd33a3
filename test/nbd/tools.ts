// Programs of other people that speak NBD. What is not installed here is left out, and the test says so.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestContext } from 'vitest';

const run = promisify(execFile);

/** One run of a program, also on a slow machine. */
const TIMEOUT_MS = 50_000;

function findTool(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(':');
  return folders.map((folder) => join(folder, name)).find((path) => fs.existsSync(path));
}

/** Where a program is. One that is missing skips the test, visibly; where everything is tested it fails. */
export function needTool(context: TestContext, name: string): string {
  const path = findTool(name);
  if (path !== undefined) return path;
  if (process.env.CI) throw new Error(`${name} is not installed`);
  context.skip(`${name} is not installed`);
}

/** Runs a program; its output. */
export async function tool(context: TestContext, name: string, ...args: string[]): Promise<string> {
  const path = needTool(context, name);
  // A tool in Python needs the Python it was installed for.
  const env = { ...process.env, PATH: `/usr/bin:${process.env.PATH}` };
  const { stdout } = await run(path, args, { env, maxBuffer: 64 * 2 ** 20, timeout: TIMEOUT_MS });
  return stdout;
}
