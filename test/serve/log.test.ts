// The daemon's log: one line for each thing, bounded, and safe to look at.
import { expect, test } from 'vitest';
import { logEvents } from '../../src/cli/serve/events.ts';
import { Log } from '../../src/cli/serve/log.ts';
import { publish } from '../../src/zcache/index.ts';

function newLog(isJournal = false): { log: Log; lines: () => string[]; clock: { nowMs: number } } {
  let text = '';
  const clock = { nowMs: 0 };
  const write = (more: string): void => {
    text += more;
  };
  const lines = (): string[] => text.split('\n').slice(0, -1);
  return { log: new Log({ write, wallMs: () => clock.nowMs, isJournal }), lines, clock };
}

test('lines have a time and a level, or for the journal a priority', () => {
  const plain = newLog();
  plain.log.line('warning', 'look');
  expect(plain.lines()).toEqual(['1970-01-01T00:00:00.000Z warning look']);
  const journal = newLog(true);
  journal.log.line('error', 'look');
  expect(journal.lines()).toEqual(['<3>look']);
});

test('what came from outside stays one line, and steers no terminal', () => {
  const { log, lines } = newLog(true);
  log.line('notice', `a\n<0>b\u001b[31m\u202e${'x'.repeat(5000)}`);
  expect(lines()).toHaveLength(1);
  expect(lines()[0]).toMatch(/^<5>a\?<0>b\?\[31m\?x+$/);
  expect(lines()[0]!.length).toBeLessThan(1010);
});

test('lines about clients are bounded, and what was left out is counted', () => {
  const { log, lines, clock } = newLog(true);
  for (let i = 0; i < 1000; i++) log.bounded('clients', 'notice', `client ${i}`);
  expect(lines()).toHaveLength(200);
  log.line('error', 'something else');
  expect(lines()).toHaveLength(201);
  clock.nowMs = 10_000;
  log.bounded('clients', 'notice', 'later');
  expect(lines().slice(201)).toEqual(['<4>800 more lines about clients were left out', '<5>later']);
});

test('events of the server and the store have their lines, until nobody wants them any more', () => {
  const { log, lines } = newLog(true);
  const stop = logEvents(log);
  publish('tmem:nbd:serving', () => ({ export: 'vm1', peer: '10.0.0.5', secured: true }));
  publish('tmem:nbd:closed', () => ({ export: null, peer: '', reason: 'the client is gone' }));
  publish('tmem:nbd:refused', () => ({ peer: '10.0.0.6', reason: 'client certificate: unknown' }));
  publish('tmem:store:gone', () => ({ path: '/dev/shm/x' }));
  publish('tmem:nbd:write-back-failed', () => ({ error: new Error('damaged') }));
  stop();
  publish('tmem:store:gone', () => ({ path: '/dev/shm/y' }));
  expect(lines()).toEqual([
    '<5>vm1: serving 10.0.0.5 with TLS',
    '<5>no export: connection of a client ended: the client is gone',
    '<4>refused 10.0.0.6: client certificate: unknown',
    '<3>/dev/shm/x was removed or replaced: others do not find it',
    '<3>moving cold pages to files failed: damaged',
  ]);
});

test('events of the cluster have their lines, and neither nodes nor lost pages fill the log', () => {
  const { log, lines } = newLog(true);
  const stop = logEvents(log);
  publish('tmem:ramster:peer', () => ({ name: 'b', state: 'up', problem: undefined }));
  publish('tmem:ramster:peer', () => ({ name: 'b', state: 'suspect', problem: undefined }));
  publish('tmem:ramster:peer', () => ({ name: 'b', state: 'down', problem: 'connect ECONNREFUSED' }));
  publish('tmem:ramster:refused', () => ({ peer: '', reason: 'there is no certificate' }));
  publish('tmem:ramster:lease-ended', () => ({ owner: 'c' }));
  publish('tmem:ramster:lost', () => ({ client: 'nbd:vm1', pool: 'area-0', oid: '00', index: 7 }));
  expect(lines()).toEqual([
    '<5>peer b is up',
    '<5>peer b is late',
    '<4>peer b is down: connect ECONNREFUSED',
    '<4>refused as a node: somebody: there is no certificate',
    '<4>node c was silent for longer than its lease: its pages were dropped',
    '<3>no peer has page 7 of object 00 of nbd:vm1/area-0 any more: it is lost',
  ]);
  for (let index = 0; index < 1000; index++) {
    publish('tmem:ramster:lost', () => ({ client: 'c', pool: 'p', oid: '00', index }));
    publish('tmem:ramster:refused', () => ({ peer: 'x', reason: 'expired' }));
  }
  expect(lines()).toHaveLength(400);
  stop();
});
