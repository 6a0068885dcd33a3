#!/usr/bin/env node
/**
 * The `tmem` command: the table of its commands. Each brings its own arguments and options.
 */

import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { reportMisuse } from './command-line.ts';
import { registerRead } from './read/register.ts';
import { registerRestore } from './restore/register.ts';
import { registerSave } from './save/register.ts';

const COMMANDS: readonly ((program: Command) => void)[] = [registerRead, registerSave, registerRestore];

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return JSON.parse(manifest).version;
}

const program = new Command('tmem')
  .description('A compressed page store shared by threads, outside the JavaScript heap')
  .version(version());
for (const register of COMMANDS) register(program);
for (const command of [program, ...program.commands]) reportMisuse(command);

await program.parseAsync();
