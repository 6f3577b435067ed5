import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { dump } from 'js-yaml';

const folder = join(import.meta.dirname, '../../golden');

/**
 * Compares a value, as YAML, with the file `test/golden/NAME.yaml`. `UPDATE_GOLDEN=1 node --test FILE` writes the file
 * instead: read the difference before it is committed.
 */
export function assertGolden(name: string, value: unknown): void {
  const file = join(folder, `${name}.yaml`);
  const text = dump(value, { lineWidth: -1, noRefs: true });
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  assert.equal(text, readFileSync(file, 'utf8'), `${file} differs; UPDATE_GOLDEN=1 rewrites it`);
}
