// What a server says about an export: transmission flags and block sizes.
import { ExportFlag } from '../protocol/numbers.ts';
import { area, must, need, should, verdict } from '../suite/check.ts';
import type { Trial } from '../suite/trial.ts';

const TRANSMISSION_FLAGS = 'Transmission flags';
const SIZES = 'Size constraints';

function sizesOf(trial: Trial) {
  const { blockSizes } = trial.facts;
  need(blockSizes !== undefined, 'no block sizes are advertised');
  const { minimum, preferred, payloadMax } = blockSizes;
  return { ...blockSizes, seen: `minimum ${minimum}, preferred ${preferred}, largest payload ${payloadMax}` };
}

const isPowerOf2 = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value));

export const advertised = area('advertised', {
  'has-flags': must(TRANSMISSION_FLAGS, 'sets HAS_FLAGS', async ({ facts }) =>
    verdict((facts.flags & ExportFlag.HAS_FLAGS) !== 0, `flags 0x${facts.flags.toString(16)}`),
  ),
  'fast-zero': must(
    TRANSMISSION_FLAGS,
    'sets SEND_FAST_ZERO only with SEND_WRITE_ZEROES',
    async ({ facts }) => {
      need((facts.flags & ExportFlag.SEND_FAST_ZERO) !== 0, 'SEND_FAST_ZERO is not advertised');
      return verdict(
        (facts.flags & ExportFlag.SEND_WRITE_ZEROES) !== 0,
        `flags 0x${facts.flags.toString(16)}`,
      );
    },
  ),
  df: must(TRANSMISSION_FLAGS, 'does not set SEND_DF without structured replies', async ({ facts }) =>
    verdict((facts.flags & ExportFlag.SEND_DF) === 0, `flags 0x${facts.flags.toString(16)}`),
  ),
  'status-payload': must(
    'EXTENDED_HEADERS: transmission flags',
    'does not set BLOCK_STATUS_PAYLOAD without extended headers',
    async (trial) => {
      const { flags } = await trial.open(trial.facts.structured ? { structured: true } : {});
      return verdict((flags & ExportFlag.BLOCK_STATUS_PAYLOAD) === 0, `flags 0x${flags.toString(16)}`);
    },
  ),
  'minimum-block': must(SIZES, 'minimum block size: a power of 2, at most 65536', async (trial) => {
    const { minimum, seen } = sizesOf(trial);
    return verdict(isPowerOf2(minimum) && minimum <= 65_536, seen);
  }),
  'preferred-block': must(
    SIZES,
    'preferred block size: a power of 2, at least 512 and the minimum',
    async (trial) => {
      const { minimum, preferred, seen } = sizesOf(trial);
      return verdict(isPowerOf2(preferred) && preferred >= Math.max(512, minimum), seen);
    },
  ),
  'largest-payload': must(SIZES, 'largest payload: at least the preferred block size', async (trial) => {
    const { preferred, payloadMax, seen } = sizesOf(trial);
    return verdict(payloadMax >= preferred, seen);
  }),
  'largest-payload-mebibyte': should(
    SIZES,
    'largest payload: at least 1 MiB on an export of that size',
    async (trial) => {
      const { payloadMax, seen } = sizesOf(trial);
      need(trial.facts.size >= 2n ** 20n, 'the export is smaller than 1 MiB');
      return verdict(payloadMax >= 2 ** 20, seen);
    },
  ),
  'whole-blocks': should(SIZES, 'the size is a multiple of the minimum block size', async (trial) => {
    const { minimum } = sizesOf(trial);
    const rest = trial.facts.size % BigInt(Math.max(1, minimum));
    return verdict(rest === 0n, `${trial.facts.size} bytes, blocks of ${minimum}`);
  }),
});
