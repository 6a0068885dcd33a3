/** A process that uses a store until its input ends: arguments are its name and directory. Says when it has begun. */
import { Oid, open } from '../../src/zcache/index.ts';

const [name, directory] = process.argv.slice(2);
const store = open({ name, directory });
const pool = store.client('user').pool('cache', { kind: 'ephemeral' });
const page = Buffer.alloc(4096, 'used ');
let index = 0;

function work(): void {
  for (let i = 0; i < 50; i++) {
    pool.put(Oid.fromNumbers(3), index % 500, page);
    pool.getAndKeep(Oid.fromNumbers(3), (index * 7) % 500, page);
    index++;
  }
}

work();
console.log('working');
const working = setInterval(work, 10);
process.stdin.resume().once('end', () => {
  clearInterval(working);
  store.close();
});
