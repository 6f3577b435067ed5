import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const run = promisify(execFile);
const ceph = join(import.meta.dirname, '../../../scripts/ceph');
/** Above the largest process id that Linux hands out. */
const NOBODY = 4_194_305;

test('what a run left behind whose daemons are gone is cleared away, and who got one of their numbers since lives', () =>
  withTemporaryFolder(async (folder) => {
    const state = join(folder, 'ceph');
    await mkdir(join(state, 'run'), { recursive: true });
    await writeFile(join(state, 'ceph.conf'), '');
    await writeFile(join(state, 'settings'), 'ceph_url=http://127.0.0.1:1\n');
    await writeFile(join(state, 'run/mon.a.pid'), `${NOBODY}\n`);
    await writeFile(join(state, 'run/osd.0.pid'), `${process.pid}\n`);
    await run(ceph, ['down'], { env: { ...process.env, STEVEDORE_CEPH_STATE: state } });
    assert.equal(existsSync(state), false);
  }));
