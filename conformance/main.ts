// npm run --silent nbd-conformance -- URI. Needs nothing but Node: `node conformance/main.ts URI` does the same from a
// fresh clone.
import { command } from './suite/command.ts';

process.exitCode = await command(process.argv.slice(2), {
  write: (text) => process.stdout.write(text),
  complain: (text) => process.stderr.write(text),
});
