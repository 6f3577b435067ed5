import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../command.ts';

const root = join(import.meta.dirname, '../../..');

/** A test that runs files of `test/integration/registry` against servers of four processes each. */
export function testWithWorkers(files: readonly string[]): void {
  test(`four processes that share a port answer as one does: ${files.join(', ')}`, async () => {
    const paths = files.map((file) => join(root, 'test/integration/registry', `${file}.test.ts`));
    // With that variable the runner takes the files for a part of this test, and starts none.
    const node = ['-u', 'NODE_TEST_CONTEXT', process.execPath, '--test', '--test-reporter=tap'];
    const outcome = await run('env', [...node, ...paths], {
      folder: root,
      timeout: 900_000,
      environment: { STEVEDORE_TEST_WORKERS: '4' },
    });
    assert.equal(outcome.code, 0, outcome.stdout.slice(-5000));
    assert.match(outcome.stdout, /^# pass [1-9]/m);
  });
}
