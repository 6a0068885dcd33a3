/**
 * Asks a daemon for its peers, over HTTP. What answers may be anything: it is looked at before it is shown.
 */

import { request } from 'node:http';
import * as v from 'valibot';
import type { Address } from '../../nbd/index.ts';
import { addressText, type PeersPage } from '../../serve/index.ts';
import { CommandError } from '../command-line.ts';

/** The daemon takes a second at most. */
const ANSWER_MAX_MS = 10_000;
/** A peer takes some 300 bytes. */
const BODY_BYTES_MAX = 16 * 2 ** 20;
/** Of an answer that is none, for people to see what it is. */
const SHOWN_MAX = 100;

const count = v.number();
const state = v.picklist(['up', 'suspect', 'down']);
const pageSchema = v.object({
  name: v.string(),
  cluster: v.string(),
  addresses: v.array(v.string()),
  replicas: count,
  remotePages: count,
  lentPages: count,
  lentBytes: count,
  replicasShort: count,
  pagesLost: count,
  problem: v.optional(v.string()),
  peers: v.array(
    v.object({
      name: v.string(),
      address: v.string(),
      state,
      draining: v.boolean(),
      freeBytes: count,
      latencyMs: count,
      problem: v.optional(v.string()),
      lentPages: count,
      lentBytes: count,
      borrowedPages: count,
    }),
  ),
  engines: v.array(
    v.object({
      name: v.string(),
      state,
      freeBytes: count,
      latencyMs: count,
      borrowedPages: count,
      problem: v.optional(v.string()),
    }),
  ),
});

/** @throws CommandError when no daemon answers there, or it is no node of a cluster */
export async function askPeers(address: Address, signal: AbortSignal): Promise<PeersPage> {
  const where = addressText(address).replace(/^tcp:/, 'http:');
  const { status, body } = await get(address, signal).catch((error: NodeJS.ErrnoException) => {
    if (signal.aborted) throw error;
    throw new CommandError(
      `no daemon answers at ${where}: ${error.message}; --http names the address that tmem serve has as http`,
    );
  });
  if (status === 404) throw new CommandError(`the daemon at ${where} is no node of a cluster`);
  const page = v.safeParse(pageSchema, parsed(body));
  if (status === 200 && page.success) return page.output;
  const shown = body.trim().slice(0, SHOWN_MAX);
  throw new CommandError(`what answers at ${where} is no tmem serve of this version: ${status} ${shown}`);
}

function get(address: Address, signal: AbortSignal): Promise<{ status: number; body: string }> {
  const place = 'path' in address ? { socketPath: address.path } : 'port' in address ? address : {};
  const limits = { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MAX_MS)]) };
  return new Promise((resolve, reject) => {
    const asked = request({ ...place, ...limits, path: '/peers', agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
        if (body.length > BODY_BYTES_MAX) asked.destroy(new Error('the answer is too long'));
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.on('error', (error) => {
      const isLate = !signal.aborted && limits.signal.aborted;
      reject(isLate ? new Error(`no answer within ${ANSWER_MAX_MS} ms`) : error);
    });
    asked.end();
  });
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
