import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorTable } from '../../../src/registry/errors.ts';

interface Row {
  readonly status: number;
  readonly wire: string;
  readonly message: string;
}

const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/errors.md'), 'utf8');

function documented(): Map<string, Row> {
  const rows = new Map<string, Row>();
  for (const line of page.split('\n')) {
    const [, name, wire, status, message] =
      /^\| `(\w+)` *\| `(\w+)` *\| (\d+) *\| (.*?) *\|/.exec(line) ?? [];
    if (name !== undefined)
      rows.set(name, { status: Number(status), wire: wire ?? '', message: message ?? '' });
  }
  return rows;
}

test('the page of errors and the table of errors say the same', () => {
  const table = Object.entries(errorTable).map(([name, entry]): [string, Row] => [
    name,
    { status: entry.status, wire: 'wire' in entry ? entry.wire : name, message: entry.message },
  ]);
  assert.deepEqual(Object.fromEntries(documented()), Object.fromEntries(table));
});
