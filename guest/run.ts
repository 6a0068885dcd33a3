// npm run guest -- --device tmem,nbdkit [--rounds N] [--json]: a Linux guest swaps to each device, in alternating
// rounds. With --json the last line of output is one JSON object.

import { parseArgs } from 'node:util';
import { compareDevices, comparisonTable, medianSeconds } from './comparison.ts';
import { DEVICE_NAMES, type DeviceName } from './devices/index.ts';
import { missingPackages } from './machine/needs.ts';
import { swapPrograms } from './workloads/swap.ts';

const ROUNDS_MAX = 100;

function devicesOf(list: string): DeviceName[] {
  const names = [...new Set(list.split(','))];
  const unknown = names.filter((name) => !DEVICE_NAMES.includes(name as DeviceName));
  if (unknown.length > 0) {
    throw new Error(`--device: got '${unknown.join(',')}', allowed are ${DEVICE_NAMES.join(', ')}`);
  }
  return names as DeviceName[];
}

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    throw new Error(`--rounds: got '${text}', allowed are 1 to ${ROUNDS_MAX}`);
  }
  return rounds;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      device: { type: 'string', default: 'tmem' },
      rounds: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
    },
  });
  const devices = devicesOf(values.device);
  const rounds = roundsOf(values.rounds);
  const missing = missingPackages(devices.flatMap((device) => swapPrograms(device)));
  if (missing.length > 0) {
    throw new Error(`missing: apt-get install -y --no-install-recommends ${missing.join(' ')}`);
  }
  const comparison = await compareDevices({
    ...{ devices, rounds },
    done: (device, { seconds, stats }) => {
      const figures = Object.entries(stats).map(([name, value]) => `${name} ${value}`);
      console.log(`${device}: ${seconds.toFixed(1)} s; ${figures.join(', ')}`);
    },
  });
  console.log(`\n${comparisonTable(comparison).join('\n')}`);
  if (!values.json) return;
  const figures = Object.entries(comparison).map(([device, results]) => [
    device,
    { seconds: medianSeconds(results), rounds: results },
  ]);
  console.log(JSON.stringify(Object.fromEntries(figures)));
}

// Ended in order, so that nothing is left behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

try {
  await main();
} catch (error) {
  console.error(`guest: ${(error as Error).message}`);
  process.exitCode = 1;
}
