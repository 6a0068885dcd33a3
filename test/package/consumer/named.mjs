// A user's program of two processes, run from the packed tarball: one puts a page into a named store and is killed, the
// other finds it. Prints what it saw as one JSON object; the store is removed.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { listStores, Oid, open, removeStore } from 'tmem';

const [name = `consumer-${process.pid}`, role = 'parent'] = process.argv.slice(2);
const oid = Oid.fromString('/some/file');
const poolOf = (store) => store.client('web').pool('pages', { kind: 'persistent' });

if (role === 'child') {
  poolOf(open({ name, memory: '16 MiB' })).put(oid, 7, Buffer.from('from a process that is no more'));
  process.kill(process.pid, 'SIGKILL');
} else {
  try {
    const { signal } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), name, 'child']);
    const store = open({ name });
    const out = Buffer.alloc(4096);
    const length = poolOf(store).get(oid, 7, out);
    const [{ state, attached }] = listStores().filter((found) => found.name === name);
    store.close();
    const seen = { signal, isNew: store.isNew, text: out.toString('latin1', 0, length), state, attached };
    console.log(JSON.stringify(seen));
  } finally {
    removeStore(name, { force: true });
  }
}
