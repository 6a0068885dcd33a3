// Programs of other people that speak NBD. What is not installed here is left out, and the test says so.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestContext } from 'vitest';

const run = promisify(execFile);

function findTool(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(':');
  return folders.map((folder) => join(folder, name)).find((path) => fs.existsSync(path));
}

/** Runs a tool; its output. A tool that is missing skips the test, visibly. */
export async function tool(context: TestContext, name: string, ...args: string[]): Promise<string> {
  const path = findTool(name);
  if (path === undefined) context.skip(`${name} is not installed`);
  // A tool in Python needs the Python it was installed for.
  const env = { ...process.env, PATH: `/usr/bin:${process.env.PATH}` };
  const { stdout } = await run(path as string, args, { env, maxBuffer: 64 * 2 ** 20, timeout: 50_000 });
  return stdout;
}
